"""What the converters share."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from mmresizer.apis.checks import build_model, check_trained_weights, load_checkpoint
from mmresizer.utils import InputError
from mmresizer.utils.cli import load_config


def load_weights(path: str) -> dict[str, Tensor]:
    """Loads the tensors of a checkpoint by name.

    Raises:
        InputError: If it cannot be loaded safely, or has none.
    """
    return {
        name.removeprefix("module."): value
        for name, value in load_checkpoint(path)["state_dict"].items()
        if isinstance(value, Tensor)
    }


def save_weights(
    weights: Mapping[str, Tensor],
    out: str | os.PathLike,
    meta: Mapping | None = None,
    config: str | None = None,
) -> Path:
    """Saves converted weights, for ``load_from`` and the tools.

    Args:
        weights (Mapping[str, Tensor]): By name.
        out (str | os.PathLike): The checkpoint; its folder is made. A file that is
            there is replaced when the new one is complete.
        meta (Mapping, optional): Notes on their origin.
        config (str, optional): Config whose model they have to fit exactly.

    Returns:
        Path: ``out``.

    Raises:
        InputError: If they do not fit; nothing is written then.
    """
    path = Path(out)
    if path.is_dir():
        raise InputError(f"the checkpoint to write, {str(out)!r}, is a folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as temporary:
        file = Path(temporary, path.name)
        torch.save({"meta": dict(meta or {}), "state_dict": dict(weights)}, file)
        if config is not None:
            check_trained_weights(build_model(load_config(config)), str(file))
        file.replace(path)
    return path


def rename(
    weights: Mapping[str, Tensor], prefixes: Mapping[str, str], source: str
) -> dict[str, Tensor]:
    """Renames weights by the first part of their names.

    Args:
        weights (Mapping[str, Tensor]): By their old names.
        prefixes (Mapping[str, str]): Old beginning to new; the longest that fits is
            taken.
        source (str): What the names should be of, for the message.

    Raises:
        InputError: If none fits.
    """
    renamed = {}
    for name, value in weights.items():
        fitting = [prefix for prefix in prefixes if name.startswith(prefix)]
        if not fitting:
            raise InputError(
                f"the weights are not those of {source}: {name!r} begins with none of "
                f"{', '.join(prefixes)}"
            )
        prefix = max(fitting, key=len)
        renamed[prefixes[prefix] + name[len(prefix) :]] = value
    return renamed
