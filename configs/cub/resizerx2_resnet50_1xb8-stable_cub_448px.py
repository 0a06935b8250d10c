_base_ = ["bilinearx2_resnet50_1xb8-stable_cub_448px.py"]

# It starts as the plain interpolation that the backbone was trained for.
model = dict(
    resizer=dict(type="mmresizer.LearnedResizer", zero_init=True, norm_cfg=None)
)
