# CIFAR's ResNet-18 (3x3 stem, stride 1) at a quarter of its width, for images of 24 px.
model = dict(
    type="mmresizer.ResizerClassifier",
    resizer=dict(type="mmresizer.InterpolationResizer"),
    backbone=dict(
        type="ResNet_CIFAR",
        depth=18,
        stem_channels=16,
        base_channels=16,
        num_stages=4,
        out_indices=(3,),
        style="pytorch",
    ),
    neck=dict(type="GlobalAveragePooling"),
    head=dict(
        type="LinearClsHead",
        in_channels=128,
        loss=dict(type="CrossEntropyLoss", loss_weight=1.0),
    ),
)
