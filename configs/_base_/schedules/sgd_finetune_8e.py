# From ImageNet weights, on a small dataset.
_base_ = ["sgd_40e.py", "resizer_adamw.py"]

optim_wrapper = dict(optimizer=dict(lr=0.02))
param_scheduler = [
    dict(
        type="LinearLR",
        start_factor=0.1,
        by_epoch=True,
        begin=0,
        end=1,
        convert_to_iter_based=True,
    ),
    dict(
        type="CosineAnnealingLR",
        by_epoch=True,
        begin=1,
        end=8,
        convert_to_iter_based=True,
    ),
]

train_cfg = dict(max_epochs=8)
