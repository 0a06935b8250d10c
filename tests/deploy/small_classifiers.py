"""A small classifier with a resizer, for exports."""

import torch
from torch import nn

from mmresizer.registry import MODELS

MEAN, STD = [120.0, 110.0, 100.0], [50.0, 60.0, 70.0]
SMALL = dict(output_size=16, mid_channels=4)


def build_classifier(to_rgb=True, seed=0, **resizer):
    """A small classifier in eval mode whose norms have statistics of their own."""
    torch.manual_seed(seed)
    resizer = dict(type="mmresizer.LearnedResizer") | (resizer or SMALL)
    if resizer["type"] == "mmresizer.LearnedResizer":
        resizer.setdefault("mid_channels", 4)
    model = MODELS.build(
        dict(
            type="mmresizer.ResizerClassifier",
            resizer=resizer,
            backbone=dict(
                type="ResNet_CIFAR",
                depth=18,
                base_channels=4,
                in_channels=resizer.get("out_channels", 3),
            ),
            neck=dict(type="GlobalAveragePooling"),
            head=dict(type="LinearClsHead", num_classes=3, in_channels=32),
            data_preprocessor=dict(mean=MEAN, std=STD, to_rgb=to_rgb),
        )
    )
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 2)
    return model.eval()
