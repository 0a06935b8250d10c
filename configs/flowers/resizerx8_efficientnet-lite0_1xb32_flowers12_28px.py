_base_ = ["bilinearx8_efficientnet-lite0_1xb32_flowers12_28px.py"]

model = dict(
    resizer=dict(type="mmresizer.LearnedResizer", zero_init=True, norm_cfg=None)
)
