_base_ = ["bilinearx2_fcn-r50-d8_4xb2_cityscapes_512px.py"]

# It starts as the plain interpolation of the baseline.
model = dict(
    resizer=dict(type="mmresizer.LearnedResizer", zero_init=True, norm_cfg=None)
)
