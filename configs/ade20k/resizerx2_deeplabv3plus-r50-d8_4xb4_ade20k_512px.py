_base_ = ["bilinearx2_deeplabv3plus-r50-d8_4xb4_ade20k_512px.py"]

# It starts as the plain interpolation of the baseline.
model = dict(
    resizer=dict(type="mmresizer.LearnedResizer", zero_init=True, norm_cfg=None)
)
