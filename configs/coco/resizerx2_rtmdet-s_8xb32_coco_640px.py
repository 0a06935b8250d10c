_base_ = ["bilinearx2_rtmdet-s_8xb32_coco_640px.py"]

# It starts as the plain interpolation of the baseline.
model = dict(
    resizer=dict(type="mmresizer.LearnedResizer", zero_init=True, norm_cfg=None)
)
