"""Checkpoints of the Imagenette implementation on Lightning.

That is https://github.com/KushajveerSingh/resize_network_cv: a resizer of modules 1, 3
and 4 and residual blocks, before torchvision's ResNet-50. Its last version hands on the
image as it came, so that its resizers are as random as at the start.
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from mmresizer.utils import InputError

from .common import rename

_NAMES = {
    "module1.0.": "stem.conv1.",
    "module1.2.": "stem.conv2.",
    "module1.4.": "stem.norm.",
    "module3.0.": "fuse.conv.",
    "module3.1.": "fuse.norm.",
    "module4.": "out.",
}
_BLOCK_NAMES = {
    "block.0.": "layer1.conv.",
    "block.1.": "layer1.norm.",
    "block.3.": "layer2.conv.",
    "block.4.": "layer2.norm.",
}


def convert_lightning(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Converts weights of the Imagenette implementation.

    Args:
        weights (Mapping[str, Tensor]): ``resizer_model.*``, if there is a resizer, and
            ``base_model.*``.

    Returns:
        dict[str, Tensor]: Those of a :class:`mmresizer.ResizerClassifier` with
        MMPretrain's ResNet, with the same outputs.

    Raises:
        InputError: If a name is of another model.
    """
    blocks = {
        match[0]: f"resizer.blocks.{match[1]}.{new}"
        for name in weights
        for old, new in _BLOCK_NAMES.items()
        if (
            match := re.match(
                rf"resizer_model\.resblocks\.(\d+)\.{re.escape(old)}", name
            )
        )
    }
    converted = rename(
        weights,
        {f"resizer_model.{old}": f"resizer.{new}" for old, new in _NAMES.items()}
        | blocks
        | {"base_model.": "backbone.", "base_model.fc.": "head.fc."},
        "the Imagenette implementation (resizer_model.*, base_model.*)",
    )
    kernel = converted.get("resizer.stem.conv2.weight")
    if kernel is not None:  # some versions have no bias there
        converted.setdefault("resizer.stem.conv2.bias", torch.zeros(len(kernel)))
    if "backbone.conv1.weight" not in converted:
        raise InputError(
            "the weights are not those of the Imagenette implementation: no "
            "'base_model.conv1.weight' of a ResNet"
        )
    return converted
