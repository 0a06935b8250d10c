# ResNet-18 with CIFAR's stem, without its last stage, behind bilinear interpolation:
# the baseline.
_base_ = ["bilinear_resnet18-cifar.py"]

model = dict(
    backbone=dict(
        num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1), out_indices=(2,)
    ),
    head=dict(in_channels=256),
)
