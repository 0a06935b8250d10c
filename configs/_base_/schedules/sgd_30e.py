# From scratch on some thousand images, in batches of 256.
_base_ = ["sgd_40e.py"]

optim_wrapper = dict(optimizer=dict(lr=0.1))
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
        end=30,
        convert_to_iter_based=True,
    ),
]

train_cfg = dict(max_epochs=30)
auto_scale_lr = dict(base_batch_size=256)
