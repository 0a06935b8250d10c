# ResNet-18 behind bilinear interpolation: the baseline. A learned config replaces the
# resizer's type and keeps the rest.
model = dict(
    type="mmresizer.ResizerClassifier",
    resizer=dict(type="mmresizer.InterpolationResizer"),
    backbone=dict(
        type="ResNet", depth=18, num_stages=4, out_indices=(3,), style="pytorch"
    ),
    neck=dict(type="GlobalAveragePooling"),
    head=dict(
        type="LinearClsHead",
        in_channels=512,
        loss=dict(type="LabelSmoothLoss", label_smooth_val=0.1),
    ),
)
