_base_ = ["bilinearx2_swin-base_1xb8_cub_384px.py"]

# AdamW's step is bounded by its rate: 1e-4 for the resizer, where the backbone's rate
# would leave it as it is. The control, which has no such parameters, is that of the
# plain recipe.
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={"resizer": dict(lr_mult=160)}))
