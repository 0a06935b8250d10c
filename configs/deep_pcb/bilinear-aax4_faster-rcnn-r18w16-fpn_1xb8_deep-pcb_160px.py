_base_ = [
    "../_base_/models/bilinear_faster-rcnn-r18w16-fpn.py",
    "../_base_/datasets/deep_pcb_640.py",
    "../_base_/schedules/detector_adamw_8e.py",
]

custom_imports = dict(imports=["mmresizer"])
model = dict(
    resizer=dict(scale_factor=0.25, antialias=True),
    roi_head=dict(bbox_head=dict(num_classes=6)),
)
