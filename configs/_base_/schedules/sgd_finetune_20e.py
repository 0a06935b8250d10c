# From ImageNet weights, on some thousand images, in batches of 64.
_base_ = ["sgd_finetune_8e.py"]

optim_wrapper = dict(optimizer=dict(lr=0.04))
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
        end=20,
        convert_to_iter_based=True,
    ),
]

train_cfg = dict(max_epochs=20)
auto_scale_lr = dict(base_batch_size=64)
