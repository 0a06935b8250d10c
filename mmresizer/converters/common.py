"""What the converters share."""

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from mmresizer.config.building import build_model
from mmresizer.config.loading import load_config
from mmresizer.models.utils import check_weights, load_checkpoint
from mmresizer.utils import InputError
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
    sources: Sequence[str | os.PathLike] = (),
    config: str | None = None,
    meta: Mapping | None = None,
) -> Path:
    """Saves converted weights, for ``load_from`` and the tools.

    Args:
        weights (Mapping[str, Tensor]): By name.
        out (str | os.PathLike): The checkpoint; its folder is made. A file that is
            there is replaced when the new one is complete.
        sources (Sequence[str | os.PathLike]): The files that they are from, none of
            which may be ``out``; noted in the checkpoint.
        config (str, optional): Config whose model they have to fit exactly.
        meta (Mapping, optional): Other notes.

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
    check_is_no_source(out, sources)
    if config is not None:
        check_weights(build_model(load_config(config)), weights, "what was converted")
    buffer = io.BytesIO()
    notes = {"sources": [str(source) for source in sources], **(meta or {})}
    torch.save({"meta": notes, "state_dict": dict(weights)}, buffer)
    write_atomically(path, buffer.getvalue())
    return path


def check_is_no_source(
    out: str | os.PathLike, sources: Sequence[str | os.PathLike]
) -> None:
    """Checks that a file to write is none of those that are read.

    Raises:
        InputError: If it is.
    """
    if any(Path(out).resolve() == Path(source).resolve() for source in sources):
        raise InputError(f"{str(out)!r} would be overwritten; take another file")


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
