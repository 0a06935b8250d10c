# From scratch on one or two thousand images, in batches of 64.
_base_ = ["sgd_30e.py"]

optim_wrapper = dict(optimizer=dict(lr=0.05))
auto_scale_lr = dict(base_batch_size=64)
