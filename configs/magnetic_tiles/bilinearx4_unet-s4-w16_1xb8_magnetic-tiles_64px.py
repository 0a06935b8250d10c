_base_ = ["bilinear-aax4_unet-s4-w16_1xb8_magnetic-tiles_64px.py"]

model = dict(resizer=dict(antialias=False))
