_base_ = ["bilinear-aax4_unet-s4-w16_1xb8_magnetic-tiles_64px.py"]

# Its features are pooled over the whole square that becomes a pixel.
model = dict(
    resizer=dict(type="mmresizer.LearnedResizer", stem_stride=2, zero_init=True)
)
