# How to fine-tune EfficientNet-lite0 to 900 cats and dogs at 75 px, before any resizer
# is compared there: step size and crops, chosen on a quarter of the training images.
config = (
    "mmresizer::cats_dogs/bilinearx4_efficientnet-lite0_1xb32_cats-dogs-subset_75px.py"
)

_CUSTOM_KEYS = "optim_wrapper.paramwise_cfg.custom_keys"


def _arm(lr, crops=None, head=1, **kwargs):
    name = f"lr {lr}"
    options = {"optim_wrapper.optimizer.lr": lr}
    if crops:
        name += f", crops from {crops}"
        options["train_dataloader.dataset.pipeline.1"] = dict(
            type="RandomResizedCrop", scale=300, crop_ratio_range=(crops, 1.0)
        )
    if head > 1:
        name += f", head x{head}"
        options[_CUSTOM_KEYS] = {"model.classifier": dict(lr_mult=head)}
    return dict(name=name, options=options, **kwargs)


arms = [
    _arm(0.02, baseline=True),
    _arm(0.002),
    _arm(0.001),
    _arm(0.0005),
    _arm(0.02, 0.35),
    _arm(0.005, 0.35),
    _arm(0.002, 0.35),
    _arm(0.005, 0.7),
    _arm(0.002, 0.7, head=10),
]
seeds = [0, 1]
warmup_epochs = 1
holdout = dict(fold=0, num_splits=4)
