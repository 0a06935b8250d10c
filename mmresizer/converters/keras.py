"""Weights of Keras's example, https://keras.io/examples/vision/learnable_resizer/.

Its model is a resizer before DenseNet-121. Keras saves it in three formats: ``.h5``
with names of layers, and ``.weights.h5``, alone or within ``.keras``, with names of
their classes, numbered in the order of the layers.
"""

import os
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmresizer.utils import InputError
from mmresizer.utils.errors import one_line

from .common import check_is_no_source

_KINDS = {"conv2d": "convolution", "batch_normalization": "norm", "dense": "dense"}
_ARRAYS = {
    "convolution": ("kernel", "bias"),
    "norm": ("gamma", "beta", "moving_mean", "moving_variance"),
    "dense": ("kernel", "bias"),
}
_NAMES = {
    "kernel": "weight",
    "gamma": "weight",
    "bias": "bias",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
# Added to the variance, in Keras: of layers, and of its DenseNet.
_EPS, _DENSENET_EPS = 1e-3, 1.001e-5
_OUR_EPS = 1e-5
_DENSENET_BLOCKS = (6, 12, 24, 16)
_WEIGHTS = "model.weights.h5"


@dataclass(frozen=True)
class _Layer:
    """A layer of ours: what it is called, its kind, and Keras's epsilon of a norm."""

    name: str
    kind: str
    eps: float = 0.0


def convert_keras(path: str) -> dict[str, Tensor]:
    """Converts a file of Keras, of the whole model or of the resizer alone.

    The epsilon of batch norms, another one in Keras, becomes part of the running
    variances.

    Args:
        path (str): ``.h5``, ``.weights.h5`` or ``.keras``.

    Returns:
        dict[str, Tensor]: Weights of a :class:`mmresizer.ResizerClassifier` with
        MMPretrain's DenseNet-121 or, where the file has no DenseNet, of a
        :class:`mmresizer.LearnedResizer`, with the same outputs in inference.

    Raises:
        InputError: If the file cannot be read, or is of another model.
    """
    with _open(path, "r") as file:
        weights = {}
        for name, dataset, kind, eps in _match(path, file):
            array = torch.from_numpy(np.asarray(dataset[()], dtype=np.float32))
            if name.endswith(".running_var"):
                array = array + (eps - _OUR_EPS)
            weights[name] = _from_keras(array, kind).contiguous()
            if name.endswith(".running_var"):
                count = name.replace("running_var", "num_batches_tracked")
                weights[count] = torch.tensor(0)
    return weights


def export_keras(weights: Mapping[str, Tensor], template: str, out: str) -> Path:
    """Writes weights into a copy of a file that Keras has saved of the same model.

    Args:
        weights (Mapping[str, Tensor]): Of :func:`convert_keras`'s kinds.
        template (str): ``.h5``, ``.weights.h5`` or ``.keras``, whatever its values.
        out (str): The copy.

    Returns:
        Path: ``out``.

    Raises:
        InputError: If the file cannot be read, or is of another model than the
            weights; nothing is written then.
    """
    path = Path(out)
    suffix = _suffix(template)
    if _suffix(out) != suffix:
        raise InputError(
            f"the file to write, {out!r}, must be of the template's format, {suffix}"
        )
    check_is_no_source(out, [template])
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as temporary:
        copy = Path(temporary, path.name)
        if os.path.isfile(template):
            shutil.copyfile(template, copy)
        written = set()
        with _open(str(copy), "r+", template) as file:
            for name, dataset, kind, eps in _match(template, file):
                if name not in weights:
                    raise InputError(f"the weights have no {name!r}, which Keras needs")
                array = _to_keras(weights[name], kind)
                if tuple(array.shape) != dataset.shape:
                    raise InputError(
                        f"{name!r} has the shape {tuple(weights[name].shape)}, another "
                        f"one than in {template!r}"
                    )
                if name.endswith(".running_var"):
                    array = array - (eps - _OUR_EPS)
                dataset[...] = array.numpy()
                written.add(name)
        ours = {name for name in weights if not name.endswith("num_batches_tracked")}
        if ours != written:
            raise InputError(
                f"{template!r} has no place for {', '.join(sorted(ours - written)[:3])}"
            )
        copy.replace(path)
    return path


def _suffix(path: str) -> str:
    return next((s for s in (".weights.h5", ".h5", ".keras") if path.endswith(s)), "")


def _from_keras(array: Tensor, kind: str) -> Tensor:
    """Puts the output channels first: (h, w, in, out) and (in, out)."""
    if array.ndim == 4:
        return array.permute(3, 2, 0, 1)
    return array.T if array.ndim == 2 and kind == "dense" else array


def _to_keras(array: Tensor, kind: str) -> Tensor:
    if array.ndim == 4:
        return array.permute(2, 3, 1, 0)
    return array.T if array.ndim == 2 and kind == "dense" else array


@contextmanager
def _open(path: str, mode: str, shown: str | None = None) -> Iterator[Any]:
    """Opens a file of weights, one in an archive too, which is packed again."""
    try:
        import h5py
    except ImportError as e:
        raise InputError("Keras's files need h5py: pip install h5py") from e
    shown = shown or path
    if not os.path.isfile(path):
        raise InputError(f"the file {shown!r} does not exist")
    with tempfile.TemporaryDirectory() as folder:
        file = path
        try:
            if path.endswith(".keras"):
                with zipfile.ZipFile(path) as archive:
                    file = archive.extract(_WEIGHTS, folder)
            opened = h5py.File(file, mode)
        except (OSError, KeyError, zipfile.BadZipFile, zlib.error) as e:
            raise InputError(
                f"{shown!r} must be a .h5, .weights.h5 or .keras file ({one_line(e)})"
            ) from e
        with opened:
            yield opened
        if file != path and mode != "r":
            _replace_member(path, file)


def _replace_member(path: str, file: str) -> None:
    """Puts a file of weights into an archive, in place of the one that is there."""
    changed = f"{path}.part"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(changed, "w") as new:
        for member in old.infolist():
            content = old.read(member)
            if member.filename == _WEIGHTS:
                content = Path(file).read_bytes()
            new.writestr(member, content)
    os.replace(changed, path)


def _match(path: str, file: Any) -> Iterator[tuple[str, Any, str, float]]:
    """Yields our name of each array of a file, the array, its layer's kind and eps."""
    parts = _read_parts(file)
    # The resizer ends with a 7x7 convolution, DenseNet-121 begins with one.
    counts = [sum(kind == "convolution" for kind, _ in part) for part in parts]
    if len(parts) not in (1, 2) or min(counts) < 4 or counts[0] % 2:
        raise InputError(
            f"{path!r} must be of Keras's example: a resizer, or two models with "
            f"DenseNet-121, but it has {len(parts)}, of "
            f"{', '.join(map(str, counts)) or 'no'} convolutions"
        )
    models = [_resizer_layers((counts[0] - 4) // 2)]
    if len(parts) == 2:
        prefixed = [_Layer(f"resizer.{x.name}", x.kind, x.eps) for x in models[0]]
        models = [prefixed, _densenet_layers()]
    for part, layers in zip(parts, models, strict=True):
        for kind in _ARRAYS:
            theirs = [arrays for other, arrays in part if other == kind]
            ours = [layer for layer in layers if layer.kind == kind]
            if len(theirs) != len(ours):
                raise InputError(
                    f"{path!r} must be of Keras's example: {len(ours)} layers of kind "
                    f"{kind!r}, but it has {len(theirs)}"
                )
            for arrays, layer in zip(theirs, ours, strict=True):
                for array, dataset in arrays.items():
                    yield f"{layer.name}.{_NAMES[array]}", dataset, kind, layer.eps


def _read_parts(file: Any) -> list[list[tuple[str, dict[str, Any]]]]:
    """Returns the inner models: for each its layers in order, kind and arrays."""
    named = file.get("model_weights", file)
    has_names = "layer_names" in named.attrs
    parts = _read_named(named) if has_names else _read_numbered(file)
    return [part for part in parts if part]


def _read_named(file: Any) -> list[list[tuple[str, dict[str, Any]]]]:
    """Reads ``.h5``: each inner model names its arrays "layer/array", or with ":0"."""
    parts = []
    alone: dict[str, dict[str, Any]] = {}
    for model in _texts(file.attrs["layer_names"]):
        layers: dict[str, dict[str, Any]] = {}
        for name in _texts(file[model].attrs["weight_names"]):
            layer, _, array = name.rpartition("/")
            layers.setdefault(layer, {})[array.partition(":")[0]] = file[model][name]
        if len(layers) > 1:
            parts.append(layers)
        else:  # a layer of the outer model: the file is of the resizer alone
            alone |= layers
    return [
        [(_kind_of(arrays), arrays) for arrays in part.values()]
        for part in ([alone, *parts] if alone else parts)
    ]


def _texts(names: Sequence) -> list[str]:
    return [name.decode() if isinstance(name, bytes) else str(name) for name in names]


def _kind_of(arrays: Mapping[str, Any]) -> str:
    if arrays.keys() == set(_ARRAYS["norm"]):
        return "norm"
    if "kernel" not in arrays or not arrays.keys() <= {"kernel", "bias"}:
        raise InputError(
            "the file must be of Keras's example, but has a layer of "
            f"{', '.join(arrays)}"
        )
    return "convolution" if arrays["kernel"].ndim == 4 else "dense"


def _read_numbered(file: Any) -> list[list[tuple[str, dict[str, Any]]]]:
    """Reads ``.weights.h5``: "layers/functional/layers/conv2d_1/vars/0"."""
    models: dict[str, list[tuple[int, str, dict[str, Any]]]] = {}

    def visit(path: str, group: Any) -> None:
        found = re.fullmatch(r"((?:.*/)?)layers/([a-z0-9_]+?)(?:_(\d+))?/vars", path)
        if found and found[2] in _KINDS and len(group):
            kind = _KINDS[found[2]]
            arrays = {
                array: group[str(i)]
                for i, array in enumerate(_ARRAYS[kind])
                if str(i) in group
            }
            models.setdefault(found[1], []).append((int(found[3] or 0), kind, arrays))

    file.visititems(visit)
    return [
        [(kind, arrays) for _, kind, arrays in sorted(models[name], key=lambda x: x[0])]
        for name in sorted(models)
    ]


def _resizer_layers(num_blocks: int) -> list[_Layer]:
    """Returns the layers of the resizer, those of a kind in the order of their use."""
    blocks = [f"blocks.{i}.layer{j}" for i in range(num_blocks) for j in (1, 2)]
    inner = [*blocks, "fuse"]
    return [
        _Layer("stem.conv1", "convolution"),
        _Layer("stem.conv2", "convolution"),
        *(_Layer(f"{name}.conv", "convolution") for name in inner),
        _Layer("out", "convolution"),
        _Layer("stem.norm", "norm", _EPS),
        *(_Layer(f"{name}.norm", "norm", _EPS) for name in inner),
    ]


def _densenet_layers() -> list[_Layer]:
    """Returns the layers of DenseNet-121, those of a kind in the order of their use."""
    convolutions, norms = ["stem.0"], ["stem.1"]
    for i, num_layers in enumerate(_DENSENET_BLOCKS):
        for j in range(num_layers):
            for k in (1, 2):
                norms.append(f"stages.{i}.block.{j}.norm{k}")
                convolutions.append(f"stages.{i}.block.{j}.conv{k}")
        last = i == len(_DENSENET_BLOCKS) - 1
        norms.append(f"transitions.{i}.{'0' if last else 'norm'}")
        if not last:
            convolutions.append(f"transitions.{i}.conv")
    return [
        *(_Layer(f"backbone.{name}", "convolution") for name in convolutions),
        *(_Layer(f"backbone.{name}", "norm", _DENSENET_EPS) for name in norms),
        _Layer("head.fc", "dense"),
    ]
