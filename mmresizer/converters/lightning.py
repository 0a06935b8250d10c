"""Checkpoints of the Imagenette implementation on Lightning.

The implementation is https://github.com/KushajveerSingh/resize_network_cv. Its resizer
has the modules 1, 3 and 4 and residual blocks, and stands in front of torchvision's
ResNet-50. Its last version passes the image on unchanged, so that its resizers are
as random as at the start.
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.serialization import safe_globals

from mmresizer.utils import InputError

from .common import load_weights, rename

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


class _Callback:
    """Replaces a class of Lightning that is a key in its checkpoints."""


# Checkpoints of Lightning before 1.3 keep the states of callbacks by their classes.
_CALLBACKS = ("model_checkpoint.ModelCheckpoint", "early_stopping.EarlyStopping")


def load_lightning(path: str) -> dict[str, Tensor]:
    """Loads the weights of a checkpoint of Lightning.

    Raises:
        InputError: If the file cannot be loaded safely, or has no weights.
    """
    names = [f"pytorch_lightning.callbacks.{name}" for name in _CALLBACKS]
    with safe_globals([(type("Callback", (_Callback,), {}), name) for name in names]):
        return load_weights(path)


def convert_lightning(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Converts weights of the Imagenette implementation.

    Args:
        weights (Mapping[str, Tensor]): ``base_model.*`` and, if there is a resizer,
            ``resizer_model.*``.

    Returns:
        dict[str, Tensor]: Weights of a :class:`mmresizer.ResizerClassifier` with
        MMPretrain's ResNet, which has the same outputs.

    Raises:
        InputError: If a name belongs to another model.
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
