_base_ = ["bilinear-aax16.67_resnet14-cifar_1xb64_scene-15_12px.py"]

# Its features are pooled over the whole square that becomes a pixel.
model = dict(resizer=dict(type="mmresizer.LearnedResizer", stem_stride=2))
