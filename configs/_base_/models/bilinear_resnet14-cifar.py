# ResNet-18 without its last stage and with CIFAR's stem (3x3, stride 1), behind
# bilinear interpolation: the baseline. Its cost for each pixel is high, as that of
# large models is.
model = dict(
    type="mmresizer.ResizerClassifier",
    resizer=dict(type="mmresizer.InterpolationResizer"),
    backbone=dict(
        type="ResNet_CIFAR",
        depth=18,
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(2,),
        style="pytorch",
    ),
    neck=dict(type="GlobalAveragePooling"),
    head=dict(
        type="LinearClsHead",
        in_channels=256,
        loss=dict(type="LabelSmoothLoss", label_smooth_val=0.1),
    ),
)
