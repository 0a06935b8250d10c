"""Loading of checkpoints that runs no code from them, and writing, for all of mmengine.

mmengine and torch read pickle files, which can run any code. Where safe loading fails,
mmengine falls back to unsafe loading. :func:`register_loaders` replaces that for
``load_from``, ``init_cfg``, ``--resume``, ``get_model`` and all else that uses
mmengine's ``CheckpointLoader``.
"""

import glob
import hashlib
import os
import pickle
import re
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import numpy as np
import torch
from mmengine.fileio import LocalBackend, get_file_backend
from mmengine.hooks import checkpoint_hook
from mmengine.logging import HistoryBuffer
from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler
from mmengine.runner import CheckpointLoader, checkpoint
from safetensors.torch import load_file

from mmresizer.utils import InputError
from mmresizer.utils.download import download, is_published
from mmresizer.utils.files import file_digest, write_atomically, writing

from .model_index import SCHEME, check_online, find_model

# torch's convention: the name of a file ends with the first digits of its SHA-256. A
# date has the same form.
_DIGEST_IN_NAME = re.compile(r"-((?!\d{8}\.)[0-9a-f]{8}|[0-9a-f]{64})\.\w+$")

# Methods that objects of mmengine name in their state.
_SAFE_METHODS = (
    (HistoryBuffer, ("mean", "max", "min", "current")),
    (OneCycleParamScheduler, ("_annealing_cos", "_annealing_linear")),
)


def _get_method(owner: type, name: str) -> Callable:
    """Replaces the ``getattr`` in the pickles of these objects.

    Other attributes, such as ``__class__`` and ``__globals__``, could run code.
    """
    for known, names in _SAFE_METHODS:
        if owner is known and type(name) is str and name in names:
            return getattr(known, name)
    raise pickle.UnpicklingError("Unsupported global: GLOBAL builtins.getattr ")


# What a training checkpoint of mmengine holds besides tensors.
_SAFE_GLOBALS: list = [
    HistoryBuffer,
    OneCycleParamScheduler,
    (_get_method, "builtins.getattr"),
    np.array(0).__reduce__()[0],  # the private functions that rebuild
    np.float64(0).__reduce__()[0],  # arrays and scalars
    np.ndarray,
    np.dtype,
    *{type(np.dtype(code)) for code in np.typecodes["AllInteger"] + "?efdFDSU"},
]

# All threads share torch's list of safe globals.
_LOCK = threading.Lock()


def load_from_local(filename: str, map_location: Any = None) -> Any:
    """Loads a local file: a pickle of torch with plain contents, or safetensors.

    Args:
        filename (str): Path.
        map_location (Any): See :func:`torch.load`; safetensors are loaded to the CPU.
            Defaults to None.

    Returns:
        Any: What was saved; safetensors as a dict with the key "state_dict".

    Raises:
        InputError: If the file is missing or truncated, or holds objects other than
            tensors and what a training run of mmengine saves.
    """
    path = os.path.expanduser(os.fspath(filename))
    if not os.path.isfile(path):
        state = "is a folder" if os.path.isdir(path) else "does not exist"
        raise InputError(f"the checkpoint {str(filename)!r} {state}")
    if isinstance(map_location, str | torch.device):
        torch.empty(0, device=map_location)  # no fault of the file
    try:
        if path.endswith(".safetensors"):
            return {"state_dict": load_file(path)}
        if zipfile.is_zipfile(path):  # torch does not look at the checksums
            with zipfile.ZipFile(path) as file:
                if (damaged := file.testzip()) is not None:
                    raise ValueError(f"the checksum of {damaged!r} in it is wrong")
        return _load_safely(path, map_location)
    except (OSError, MemoryError):  # no fault of the file
        raise
    except Exception as e:  # on foreign bytes the readers may raise anything
        raise InputError(
            f"{str(filename)!r} is no complete checkpoint of weights ({_explain(e)})"
        ) from e


def _explain(error: Exception) -> str:
    """Says in a few words why a file was refused, without the advice of torch."""
    text = " ".join(str(error).split())
    if unknown := re.search(r"\bGLOBAL (\w+(?:\.\w+)+)", text):
        return f"loading it could run {unknown[1]}"
    if "TorchScript" in text:
        return "a TorchScript archive is a program"
    if found := re.search(r"WeightsUnpickler error: (.*?)(?: Check the|$)", text):
        return found[1].strip()
    return text.split(". ")[0] or f"{type(error).__name__}: is it empty?"


def load_from_http(filename: str, map_location: Any = None, **_: Any) -> Any:
    """Loads the file at an address, from the cache if it was downloaded before.

    If the name ends with ``-DIGEST.pth``, the SHA-256 of the file must begin with the
    digest. The cache is torch's (``TORCH_HOME``).

    Args:
        filename (str): Address, http or https.
        map_location (Any): See :func:`torch.load`. Defaults to None.

    Raises:
        InputError: If the download fails, or the file is no checkpoint.
    """
    try:
        name = Path(urlsplit(filename).path).name
    except ValueError as e:
        raise InputError(f"{filename!r} is no address ({e})") from e
    found = _DIGEST_IN_NAME.search(name)
    digest = f"sha256:{found[1]}" if found else None
    if digest is None:  # another file may have this name
        name = f"{hashlib.sha256(filename.encode()).hexdigest()[:16]}_{name}"
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    cached = is_published(path, digest, None)
    if not cached:
        check_online(filename)
        download(filename, path, digest)
    try:
        return load_from_local(str(path), map_location)
    except InputError as e:
        if not cached and digest is None:
            # It may be an error page. The next call tries again.
            path.unlink(missing_ok=True)
        raise InputError(str(e).replace(str(path), filename)) from e


def load_from_zoo(filename: str, map_location: Any = None) -> Any:
    """Loads ``mmresizer://NAME``, the weights of a model of the zoo.

    Args:
        filename (str): The name, after ``mmresizer://``.
        map_location (Any): See :func:`torch.load`. Defaults to None.

    Raises:
        InputError: If there is no such model, it has no weights, or they cannot be
            downloaded.
    """
    path = find_model(filename).find_weights().fetch()
    return load_from_local(str(path), map_location)


def _load_safely(file: Any, map_location: Any = None, *_: Any) -> Any:
    with _LOCK, torch.serialization.safe_globals(_SAFE_GLOBALS):
        HistoryBuffer()  # the first one gives the class its methods
        methods = dict(HistoryBuffer._statistics_methods)
        try:
            return torch.load(file, map_location=map_location, weights_only=True)
        finally:
            # Loading the state of a buffer changes the methods of its class.
            HistoryBuffer._statistics_methods.clear()
            HistoryBuffer._statistics_methods.update(methods)


class AtomicLocalBackend(LocalBackend):
    """Writes checkpoints whole or not at all, and keeps the older ones until then."""

    _outdated: ClassVar[list[Path]] = []

    def put(self, obj: bytes, filepath: str | os.PathLike) -> None:
        """Writes bytes to a file; its folder is made if it is missing.

        Raises:
            InputError: If it cannot be written.
        """
        path = Path(filepath)
        with writing(path):
            # What a process left that was killed while it wrote.
            for part in path.parent.glob(f".{glob.escape(path.name)}.*"):
                part.unlink(missing_ok=True)
            write_atomically(path, obj)
            if file_digest(path) != hashlib.sha256(obj).hexdigest():
                raise OSError(f"{path.name} differs from what was written")
        while self._outdated:
            if (old := self._outdated.pop()) != path:
                old.unlink(missing_ok=True)

    def remove(self, filepath: str | os.PathLike) -> None:
        """Removes a file after the next one is written."""
        self._outdated.append(Path(filepath))


def _get_backend(*args: Any, **kwargs: Any) -> Any:
    """Returns mmengine's backend, or ours in place of the one for local files."""
    backend = get_file_backend(*args, **kwargs)
    return AtomicLocalBackend() if type(backend) is LocalBackend else backend


def register_loaders() -> None:
    """Puts these loaders, and the writer, into mmengine."""
    register = CheckpointLoader.register_scheme
    register("", load_from_local, force=True)
    register(("http://", "https://"), load_from_http, force=True)
    register(SCHEME, load_from_zoo, force=True)
    # The loaders of the other schemes (torchvision://, s3://, ...) end in these two.
    checkpoint.load_from_http = load_from_http
    checkpoint._safe_torch_load = _load_safely
    # There alone: pictures, of which there are many, need not wait for the disk.
    checkpoint.get_file_backend = _get_backend
    checkpoint_hook.get_file_backend = _get_backend
