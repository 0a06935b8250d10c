_base_ = ["bilinear-aax4_efficientnet-lite0_1xb64_cub-100_56px.py"]

model = dict(
    resizer=dict(type="mmresizer.LearnedResizer", zero_init=True, norm_cfg=None)
)
