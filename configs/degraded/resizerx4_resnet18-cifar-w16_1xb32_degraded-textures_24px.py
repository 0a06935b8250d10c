_base_ = ["bicubicx4_resnet18-cifar-w16_1xb32_degraded-textures_24px.py"]

model = dict(
    resizer=dict(
        type="mmresizer.LearnedResizer", interpolation="bilinear", zero_init=True
    )
)
