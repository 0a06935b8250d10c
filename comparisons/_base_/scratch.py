# From scratch by the config's own schedule of 40 epochs; then each arm goes on.
_base_ = ["arms.py"]

stage1 = dict(options={})
options = {
    "optim_wrapper.optimizer.lr": 0.01,
    "train_cfg.max_epochs": 8,
    "param_scheduler": [
        dict(
            type="LinearLR",
            start_factor=0.1,
            by_epoch=True,
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
    ],
}
warmup_epochs = 1
