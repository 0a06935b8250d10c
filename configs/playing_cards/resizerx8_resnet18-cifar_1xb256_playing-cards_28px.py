_base_ = ["bilinearx8_resnet18-cifar_1xb256_playing-cards_28px.py"]

# Pools what the stem has rectified over the patch that becomes a pixel.
model = dict(
    resizer=dict(type="mmresizer.LearnedResizer", antialias=True, stem_stride=2)
)
