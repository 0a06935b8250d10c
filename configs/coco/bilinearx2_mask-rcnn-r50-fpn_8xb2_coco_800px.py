_base_ = [
    "mmdet::_base_/models/mask-rcnn_r50_fpn.py",
    "mmdet::_base_/datasets/coco_instance.py",
    "../_base_/schedules/detector_finetune_6e.py",
]

# Batches are padded such that the resizer's output is MMDetection's multiple of 32.
model = dict(
    type="mmresizer.ResizerDetector",
    detector="MaskRCNN",
    resizer=dict(type="mmresizer.InterpolationResizer", scale_factor=1 / 2),
    size_divisor=32,
    data_preprocessor=dict(pad_size_divisor=32 * 2),
    backbone=dict(init_cfg=None),  # all weights are from the detector below
)
load_from = "https://download.openmmlab.com/mmdetection/v2.0/mask_rcnn/mask_rcnn_r50_fpn_1x_coco/mask_rcnn_r50_fpn_1x_coco_20200205-d4b0c5d6.pth"

# Twice MMDetection's 1333x800.
_base_.train_pipeline[2].scale = _base_.test_pipeline[1].scale = (2666, 1600)
train_dataloader = dict(dataset=dict(pipeline=_base_.train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
