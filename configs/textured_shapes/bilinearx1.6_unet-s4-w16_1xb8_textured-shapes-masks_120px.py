_base_ = ["bilinearx2_unet-s4-w16_1xb8_textured-shapes-masks_96px.py"]

# For nearly the arithmetic of the learned resizer and its 96 px.
model = dict(resizer=dict(scale_factor=120 / 192))
