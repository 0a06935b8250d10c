# From scratch on some thousand images, in batches of 256, in 20 epochs.
_base_ = ["sgd_30e.py"]

param_scheduler = [
    dict(
        type="LinearLR",
        start_factor=0.1,
        by_epoch=True,
        begin=0,
        end=2,
        convert_to_iter_based=True,
    ),
    dict(
        type="CosineAnnealingLR",
        by_epoch=True,
        begin=2,
        end=20,
        convert_to_iter_based=True,
    ),
]

train_cfg = dict(max_epochs=20)
