# Faster R-CNN for objects of 3 to 32 px, small enough for a CPU: a quarter of
# ResNet-18's channels, an eighth of the usual FPN's. A learned config replaces the
# resizer's type.
_base_ = ["mmdet::_base_/models/faster-rcnn_r50_fpn.py"]

model = dict(
    type="mmresizer.ResizerDetector",
    detector="FasterRCNN",
    resizer=dict(type="mmresizer.InterpolationResizer", scale_factor=0.5),
    backbone=dict(
        depth=18,
        base_channels=16,
        frozen_stages=-1,
        norm_eval=False,
        init_cfg=dict(_delete_=True, type="Kaiming", layer="Conv2d", mode="fan_out"),
    ),
    neck=dict(in_channels=[16, 32, 64, 128], out_channels=32, num_outs=4),
    rpn_head=dict(
        in_channels=32,
        feat_channels=32,
        anchor_generator=dict(scales=[1, 2], strides=[4, 8, 16, 32]),
    ),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=32, finest_scale=14),
        bbox_head=dict(in_channels=32, fc_out_channels=128, num_classes=4),
    ),
)
