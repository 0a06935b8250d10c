_base_ = ["bilinearx2_resnet50_1xb8_cub_448px.py"]

# The resizer's gradient is a sum over all pixels: a tenth of the rate, and a bounded
# step. The control, which has no such parameters, is that of the plain recipe.
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={"resizer": dict(lr_mult=0.1)}))
custom_hooks = [dict(type="mmresizer.ClipResizerGradHook", max_norm=0.1)]
