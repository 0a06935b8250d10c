_base_ = ["bilinear-aax8_resnet14-cifar_1xb256_deep-pcb-patches_12px.py"]

# Its features are pooled over the whole patch that becomes a pixel.
model = dict(resizer=dict(type="mmresizer.LearnedResizer", stem_stride=2))
