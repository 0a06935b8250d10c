_base_ = ["bilinearx4_efficientnet-lite0_1xb64_cub-100_56px.py"]

model = dict(
    resizer=dict(
        type="mmresizer.LearnedResizer", antialias=True, zero_init=True, norm_cfg=None
    )
)
