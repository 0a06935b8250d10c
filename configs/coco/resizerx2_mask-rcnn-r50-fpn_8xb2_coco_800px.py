_base_ = ["bilinearx2_mask-rcnn-r50-fpn_8xb2_coco_800px.py"]

# It starts as the plain interpolation of the baseline.
model = dict(
    resizer=dict(type="mmresizer.LearnedResizer", zero_init=True, norm_cfg=None)
)
