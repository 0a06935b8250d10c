# EfficientNet-lite0 with ImageNet weights, fine-tuned by SGD at the comparison's size;
# then each arm goes on at half the rate.
_base_ = ["arms.py"]


def _schedule(lr, epochs):
    return {
        "optim_wrapper.optimizer.lr": lr,
        "train_cfg.max_epochs": epochs,
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
                end=epochs,
                convert_to_iter_based=True,
            ),
        ],
    }


stage1 = dict(options=_schedule(0.02, 16))
options = _schedule(0.01, 8)
warmup_epochs = 1

# MULLER gets the statistics of these weights.
arms = _base_.arms
arms[3]["resizer"].update(mean=[127.0] * 3, std=[128.0] * 3)
