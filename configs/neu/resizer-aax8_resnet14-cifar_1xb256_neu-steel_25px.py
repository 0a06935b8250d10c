_base_ = ["bilinear-aax8_resnet14-cifar_1xb256_neu-steel_25px.py"]

# Its features are pooled over the whole square that becomes a pixel.
model = dict(resizer=dict(type="mmresizer.LearnedResizer", stem_stride=2))
