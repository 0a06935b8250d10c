# EfficientNet-b0 behind bicubic interpolation, which predicts how people would score an
# image.
_base_ = ["mmpretrain::_base_/models/efficientnet_b0.py"]

model = dict(
    type="mmresizer.ResizerClassifier",
    resizer=dict(
        type="mmresizer.InterpolationResizer", output_size=224, interpolation="bicubic"
    ),
    head=dict(_delete_=True, type="mmresizer.IQAHead", in_channels=1280),
)
