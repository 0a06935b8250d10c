_base_ = ["bilinear-aax4_faster-rcnn-r18w16-fpn_1xb8_deep-pcb_160px.py"]

model = dict(resizer=dict(scale_factor=0.4))
