_base_ = ["bilinearx2_swin-large_1xb8_cub_384px.py"]

# MMPretrain has no recipe for Swin-B on CUB; this is Swin-L's.
checkpoint = "https://mmassets.onedl.ai/mmclassification/v0/swin-transformer/convert/swin_base_patch4_window12_384_22kto1k-d59b0d1d.pth"
model = dict(
    backbone=dict(arch="base", init_cfg=dict(checkpoint=checkpoint)),
    head=dict(in_channels=1024),
)
