_base_ = ["bilinearx2_resnet50_1xb8_cub_448px.py"]

# The resizer's gradient is a sum over all pixels: a tenth of the rate, and a bounded
# step.
optim_wrapper = dict(
    clip_grad=dict(max_norm=1.0),
    paramwise_cfg=dict(custom_keys={"resizer": dict(lr_mult=0.1)}),
)
