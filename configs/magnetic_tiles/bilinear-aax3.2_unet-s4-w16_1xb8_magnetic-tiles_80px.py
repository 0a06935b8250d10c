_base_ = ["bilinear-aax4_unet-s4-w16_1xb8_magnetic-tiles_64px.py"]

# For nearly the arithmetic of the learned resizer and its 64 px.
model = dict(resizer=dict(scale_factor=80 / 256))
