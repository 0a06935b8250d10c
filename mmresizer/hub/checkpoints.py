"""Loading of checkpoints that runs no code of theirs, for all of mmengine.

mmengine and torch read pickle files, which can run anything; where the safe way fails,
mmengine takes the unsafe one. :func:`register_loaders` replaces that for ``load_from``,
``init_cfg``, ``--resume``, ``get_model`` and whatever else asks mmengine's
``CheckpointLoader``.
"""

import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler
from mmengine.runner import CheckpointLoader, checkpoint
from safetensors.torch import load_file

from mmresizer.utils import InputError
from mmresizer.utils.download import download

from .model_index import check_online, find_model

SCHEME = "mmresizer://"

# torch's convention: the first digits of the SHA-256 at the end of the file's name.
_DIGEST_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.\w+$")


def _get_method(owner: type, name: str) -> Callable:
    """Stands for the ``getattr`` by which objects of mmengine name their methods."""
    if owner not in (HistoryBuffer, OneCycleParamScheduler):
        raise pickle.UnpicklingError(f"Unsupported global: GLOBAL {owner}.{name} ")
    return getattr(owner, name)


# What a training checkpoint of mmengine holds besides tensors.
_SAFE_GLOBALS: list = [
    HistoryBuffer,
    OneCycleParamScheduler,
    (_get_method, "builtins.getattr"),
    np.array(0).__reduce__()[0],  # the private functions that rebuild
    np.float64(0).__reduce__()[0],  # arrays and scalars
    np.ndarray,
    np.dtype,
    type(np.dtype(np.float64)),
    type(np.dtype(np.int64)),
    type(np.dtype(np.uint32)),
]


def load_from_local(filename: str, map_location: Any = None) -> Any:
    """Loads a local file: a pickle of torch with plain contents, or safetensors.

    Args:
        filename (str): Path.
        map_location (Any): See :func:`torch.load`. Defaults to None.

    Returns:
        Any: What was saved; of safetensors, ``{"state_dict": ...}``.

    Raises:
        InputError: If the file is missing, truncated, or holds other objects than
            tensors and what a training run of mmengine saves.
    """
    path = os.path.expanduser(filename)
    if not os.path.isfile(path):
        raise InputError(f"the checkpoint {filename!r} does not exist")
    try:
        if path.endswith(".safetensors"):
            return {"state_dict": load_file(path)}
        return _load_safely(path, map_location)
    except Exception as e:  # on foreign bytes the readers raise anything
        unknown = re.search(r"\bGLOBAL (\S+)", str(e))
        reason = (
            f"loading it could run {unknown[1]}"
            if unknown
            else next(iter(str(e).strip().splitlines()), repr(e))
        )
        raise InputError(
            f"{filename!r} is no complete checkpoint of weights ({reason})"
        ) from e


def load_from_http(filename: str, map_location: Any = None, **_: Any) -> Any:
    """Loads an address, from the cache where it was downloaded before.

    Where the name ends with ``-DIGEST.pth``, the file has to have that SHA-256. The
    cache is torch's (``TORCH_HOME``).

    Args:
        filename (str): Address, http or https.
        map_location (Any): See :func:`torch.load`. Defaults to None.

    Raises:
        InputError: If the download fails, or brings no checkpoint.
    """
    name = Path(urlsplit(filename).path).name
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    found = _DIGEST_IN_NAME.search(name)
    if not path.is_file():
        check_online(filename)
        download(filename, path, f"sha256:{found[1]}" if found else None)
    try:
        return load_from_local(str(path), map_location)
    except InputError:
        path.unlink(missing_ok=True)  # an error page, say: the next call tries again
        raise


def load_from_zoo(filename: str, map_location: Any = None) -> Any:
    """Loads ``mmresizer://NAME``, the weights of a model of the zoo.

    Args:
        filename (str): The name, after ``mmresizer://``.
        map_location (Any): See :func:`torch.load`. Defaults to None.

    Raises:
        InputError: If there is no such model, it has no weights, or they cannot be
            downloaded.
    """
    model = find_model(filename.removeprefix(SCHEME))
    if model.weights is None:
        raise InputError(f"the model {model.name!r} has no published weights")
    return load_from_local(str(model.weights.fetch()), map_location)


def _load_safely(file: Any, map_location: Any = None, *_: Any) -> Any:
    with torch.serialization.safe_globals(_SAFE_GLOBALS):
        return torch.load(file, map_location=map_location, weights_only=True)


def register_loaders() -> None:
    """Puts these loaders into mmengine's ``CheckpointLoader``."""
    register = CheckpointLoader.register_scheme
    register("", load_from_local, force=True)
    register(("http://", "https://"), load_from_http, force=True)
    register(SCHEME, load_from_zoo, force=True)
    # The loaders of the other schemes (torchvision://, s3://, ...) end in these two.
    checkpoint.load_from_http = load_from_http
    checkpoint._safe_torch_load = _load_safely
