_base_ = [
    "../_base_/models/bilinear_resnet18-cifar-w16.py",
    "../_base_/datasets/degraded_textures_96.py",
    "../_base_/schedules/adamw_8e.py",
    "../_base_/schedules/resizer_adamw.py",
    "../_base_/default_runtime.py",
]

model = dict(
    resizer=dict(output_size=24, interpolation="bicubic"),
    head=dict(_delete_=True, type="mmresizer.IQAHead", in_channels=128),
)
