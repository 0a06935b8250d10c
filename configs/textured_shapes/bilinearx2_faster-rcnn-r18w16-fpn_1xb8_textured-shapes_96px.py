_base_ = [
    "../_base_/models/bilinear_faster-rcnn-r18w16-fpn.py",
    "../_base_/datasets/textured_shapes_192.py",
    "../_base_/schedules/detector_adamw_8e.py",
]

custom_imports = dict(imports=["mmresizer", "mmresizer.datasets.textured_shapes"])
