_base_ = ["bicubicx4_resnet18-cifar-w16_1xb32-aspect_degraded-cats-dogs_80px.py"]

model = dict(
    resizer=dict(
        type="mmresizer.LearnedResizer", interpolation="bilinear", zero_init=True
    )
)
