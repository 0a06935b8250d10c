_base_ = ["bilinearx2_swin-large_1xb8-stable_cub_384px.py"]

# It starts as the plain interpolation that the backbone was trained for.
model = dict(
    resizer=dict(type="mmresizer.LearnedResizer", zero_init=True, norm_cfg=None)
)
