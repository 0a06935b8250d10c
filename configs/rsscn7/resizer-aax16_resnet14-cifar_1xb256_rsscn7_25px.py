_base_ = ["bilinear-aax16_resnet14-cifar_1xb256_rsscn7_25px.py"]

# Its features are pooled over the whole square that becomes a pixel.
model = dict(resizer=dict(type="mmresizer.LearnedResizer", stem_stride=2))
