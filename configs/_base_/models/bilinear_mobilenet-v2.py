# MobileNet-v2 behind bilinear interpolation to 224 px, trained with the paper's loss.
_base_ = ["mmpretrain::_base_/models/mobilenet_v2_1x.py"]

model = dict(
    type="mmresizer.ResizerClassifier",
    resizer=dict(type="mmresizer.InterpolationResizer", output_size=224),
    head=dict(
        loss=dict(_delete_=True, type="LabelSmoothLoss", label_smooth_val=0.1),
    ),
)
