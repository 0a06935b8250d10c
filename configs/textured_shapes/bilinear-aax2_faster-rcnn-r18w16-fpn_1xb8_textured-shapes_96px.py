_base_ = ["bilinearx2_faster-rcnn-r18w16-fpn_1xb8_textured-shapes_96px.py"]

model = dict(resizer=dict(antialias=True))
