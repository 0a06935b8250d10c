_base_ = ["bilinearx2_efficientnet-lite0_1xb32_cats-dogs-subset_150px.py"]

model = dict(
    resizer=dict(type="mmresizer.LearnedResizer", zero_init=True, norm_cfg=None)
)
