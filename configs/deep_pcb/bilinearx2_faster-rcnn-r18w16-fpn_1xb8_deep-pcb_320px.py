_base_ = ["bilinear-aax2_faster-rcnn-r18w16-fpn_1xb8_deep-pcb_320px.py"]

model = dict(resizer=dict(antialias=False))
