# From scratch on some thousand images, in batches of 256, in 20 epochs.
_base_ = ["sgd_30e.py"]

param_scheduler = [
    _base_.param_scheduler[0],
    dict(_base_.param_scheduler[1], end=20),
]

train_cfg = dict(max_epochs=20)
