_base_ = ["bilinearx4_efficientnet-lite0_1xb32_flowers12_56px.py"]

model = dict(
    resizer=dict(type="mmresizer.LearnedResizer", zero_init=True, norm_cfg=None)
)
