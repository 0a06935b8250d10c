# timm's EfficientNet-lite0 behind bilinear interpolation: the baseline. A learned
# config replaces the resizer's type and keeps the rest.
model = dict(
    type="mmresizer.ResizerTimmClassifier",
    resizer=dict(type="mmresizer.InterpolationResizer"),
    model_name="tf_efficientnet_lite0",
    pretrained=False,
    loss=dict(type="LabelSmoothLoss", label_smooth_val=0.1),
)
