# Inception-v2 behind bilinear interpolation to 224 px, trained with the paper's loss.
model = dict(
    type="mmresizer.ResizerClassifier",
    resizer=dict(type="mmresizer.InterpolationResizer", output_size=224),
    backbone=dict(type="mmresizer.InceptionV2"),
    neck=dict(type="GlobalAveragePooling"),
    head=dict(
        type="LinearClsHead",
        num_classes=1000,
        in_channels=1024,
        loss=dict(type="LabelSmoothLoss", label_smooth_val=0.1),
        topk=(1, 5),
    ),
)
