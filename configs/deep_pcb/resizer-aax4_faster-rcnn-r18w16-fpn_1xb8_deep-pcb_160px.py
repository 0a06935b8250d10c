_base_ = ["bilinear-aax4_faster-rcnn-r18w16-fpn_1xb8_deep-pcb_160px.py"]

# Its features are pooled over the whole square that becomes a pixel.
model = dict(
    resizer=dict(type="mmresizer.LearnedResizer", stem_stride=2, zero_init=True)
)
