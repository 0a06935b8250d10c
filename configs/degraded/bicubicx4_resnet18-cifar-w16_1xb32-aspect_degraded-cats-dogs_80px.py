_base_ = [
    "../_base_/models/bilinear_resnet18-cifar-w16.py",
    "../_base_/datasets/degraded_cats_dogs-aspect_320.py",
    "../_base_/schedules/adamw_8e.py",
    "../_base_/schedules/resizer_adamw.py",
    "../_base_/default_runtime.py",
]

model = dict(
    resizer=dict(scale_factor=0.25, interpolation="bicubic"),
    head=dict(_delete_=True, type="mmresizer.IQAHead", in_channels=128),
)
