_base_ = [
    "../_base_/models/bilinear_unet-s4-w16.py",
    "../_base_/datasets/magnetic_tiles_256.py",
    "../_base_/schedules/segmentor_adamw_10e.py",
]

custom_imports = dict(imports=["mmresizer"])
# Nearly all pixels are background.
weights = [0.1, 1.0, 1.0, 1.0, 1.0, 1.0]
model = dict(
    resizer=dict(scale_factor=0.25, antialias=True),
    decode_head=dict(num_classes=6, loss_decode=dict(class_weight=weights)),
)
