_base_ = ["bilinearx2_unet-s4-w16_1xb8_textured-shapes-masks_96px.py"]

model = dict(resizer=dict(antialias=True))
