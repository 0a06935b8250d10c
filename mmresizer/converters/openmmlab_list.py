"""Checkpoints of the first OpenMMLab implementation: a list of two backbones.

Its ``backbone=[dict(type='LearnableResizer', ...), dict(...)]`` names the resizer's
weights ``backbone.0.*`` and the backbone's ``backbone.1.*``.
"""

import re
from collections.abc import Mapping

from torch import Tensor

from mmresizer.utils import InputError

from .common import rename

_NAMES = {
    "conv1.": "stem.conv1.",
    "conv2.": "stem.conv2.",
    "bn1.": "stem.norm.",
    "conv3.": "fuse.conv.",
    "bn2.": "fuse.norm.",
    "conv4.": "out.",
}
_BLOCK_NAMES = {
    "conv1.": "layer1.conv.",
    "bn1.": "layer1.norm.",
    "conv2.": "layer2.conv.",
    "bn2.": "layer2.norm.",
}


def convert_openmmlab_list(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Converts weights of a list of a resizer and a backbone.

    The 3x3 convolutions have biases there, and the batch norms behind them subtract
    these again. So the biases become part of the running means, exactly.

    Args:
        weights (Mapping[str, Tensor]): ``backbone.0.*``, ``backbone.1.*`` and others.

    Returns:
        dict[str, Tensor]: Weights of a :class:`mmresizer.ResizerClassifier`, which has
        the same outputs.

    Raises:
        InputError: If the weights are not those of such a list, or its first model is
            another one.
    """
    prefixes = {f"backbone.0.{old}": f"resizer.{new}" for old, new in _NAMES.items()}
    for name in weights:
        match = re.match(r"(backbone\.0\.resblock\.(\d+)\.)(\w+\.)", name)
        if match and match[3] in _BLOCK_NAMES:
            prefixes[match[0]] = f"resizer.blocks.{match[2]}.{_BLOCK_NAMES[match[3]]}"
    prefixes["backbone.1."] = "backbone."
    others = {name for name in weights if not name.startswith("backbone.")}
    converted = rename(
        weights,
        prefixes | {name: name for name in others},
        "a list of a resizer and a backbone (backbone.0.*, backbone.1.*)",
    )
    if not any(name.startswith("resizer.") for name in converted):
        raise InputError(
            "the weights are not those of a list of a resizer and a backbone: none "
            "begins with 'backbone.0.'"
        )
    for name in [name for name in converted if name.endswith(".conv.bias")]:
        if name.startswith("resizer."):
            mean = name.removesuffix("conv.bias") + "norm.running_mean"
            if mean not in converted:
                raise InputError(f"the weights are not complete: no {mean!r} of a norm")
            converted[mean] = converted[mean] - converted.pop(name)
    return converted
