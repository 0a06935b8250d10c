"""What the converters share."""

import io
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from mmresizer.apis.checks import build_model, check_weights, load_checkpoint
from mmresizer.utils import InputError
from mmresizer.utils.cli import load_config
from mmresizer.utils.files import write_atomically


def load_weights(path: str) -> dict[str, Tensor]:
    """Loads the tensors of a checkpoint by name.

    Raises:
        InputError: If it cannot be loaded safely, or has none.
    """
    return load_checkpoint(path)["state_dict"]


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
    if path.is_dir() or path.suffix not in (".pth", ".pt"):
        raise InputError(
            f"the checkpoint to write must be a .pth file, got {str(out)!r}"
        )
    if config is not None:
        check_weights(build_model(load_config(config)), weights, "what was converted")
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    torch.save({"meta": dict(meta or {}), "state_dict": dict(weights)}, buffer)
    write_atomically(path, buffer.getvalue())
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
