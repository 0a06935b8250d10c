# EfficientNet-lite0 with ImageNet weights, fine-tuned to flowers at 56 px.
config = "mmresizer::flowers/bilinearx4_efficientnet-lite0_1xb32_flowers12_56px.py"

# At 56 px the config's crops, down to a third of the image, cost the control 6 points.
_crops = {"train_dataloader.dataset.pipeline.1.crop_ratio_range": (0.7, 1.0)}


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


stage1 = dict(options=_crops | _schedule(0.02, 16))
options = _crops | _schedule(0.01, 8)
warmup_epochs = 1
