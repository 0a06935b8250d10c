"""Export of a trained model, or of the part of it that a device runs."""

import hashlib
import json
import os
import tempfile
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import nn

from mmresizer.hub.loading import load_named_model
from mmresizer.models import BaseResizer
from mmresizer.models.utils import get_resizer
from mmresizer.utils import InputError
from mmresizer.utils.errors import check_choice, describe_error
from mmresizer.utils.files import file_digest, make_folder, write_atomically, writing
from mmresizer.version import __version__

from .formats import FORMATS, INPUT, OUTPUT, Format
from .parts import PARTS, Part, make_part

# Largest difference from the model, over the largest value that the model gives.
_TOLERANCE = 1e-4


def export_model(
    model: str | os.PathLike | Config | nn.Module,
    out_dir: str | os.PathLike,
    part: str = "whole",
    format: str = "onnx",
    checkpoint: str | os.PathLike | None = None,
    uint8: bool = False,
) -> Path:
    """Exports a model or a part of it, checks the file and writes a card beside it.

    The file takes any number of images and, where the resizer is a part of it, of any
    height and width. It is run at five sizes and compared with the model before it gets
    its name, ``NAME_PART.SUFFIX``. The card, ``NAME_PART.SUFFIX.json``, is in the file
    too: what goes in and comes out, the classes, the normalisation, versions, and the
    SHA-256 digest of the weights.

    Args:
        model (str | os.PathLike | Config | nn.Module): Name of a model of the zoo, a
            config, or a model with a resizer, which is copied.
        out_dir (str | os.PathLike): Folder for the two files.
        part (str): "resizer"; "backbone", which is all behind the resizer; or "whole",
            the default. Of a detector only the resizer can be exported.
        format (str): "onnx", the default, which needs onnx, onnxscript and onnxruntime;
            "torch-export" or "torchscript".
        checkpoint (str | os.PathLike, optional): Weights. A config needs them; for a
            model of the zoo they replace its own.
        uint8 (bool): Whether the input is RGB images, uint8, which the file normalises.
            Otherwise the input is what the data preprocessor gives. Defaults to False.

    Returns:
        Path: The file.

    Raises:
        InputError: If the model, its weights or an argument is at fault, a package is
            missing, the part cannot be exported in this format, or the file does not
            give what the model gives.
    """
    check_choice("part", part, PARTS)
    check_choice("format", format, FORMATS)
    chosen = FORMATS[format]
    chosen.check_packages()
    loaded = load_named_model(model, checkpoint)
    # A copy: a model that was given keeps its device, and its mode.
    loaded = (deepcopy(loaded) if loaded is model else loaded).cpu().eval()
    taken = make_part(loaded, part, uint8)
    resizer = get_resizer(loaded)
    folder = make_folder(out_dir)
    name = _find_name(loaded)
    file = folder / f"{name}_{part}{chosen.suffix}"
    card = {
        "name": name,
        "part": part,
        "format": format,
        **_describe_ends(taken, part, resizer),
        "scale_factor": resizer.scale_factor,
        "classes": _find_classes(loaded),
        "normalization": _describe_normalization(loaded),
        "weights_sha256": _digest_weights(loaded),
        "versions": {"mmresizer": __version__, **chosen.versions},
    }
    with (
        writing(folder),
        tempfile.TemporaryDirectory(dir=folder, prefix=".") as made,
    ):
        unchecked = Path(made, file.name)
        _write(chosen, taken, card, unchecked, format)
        checks = _check(chosen, taken, unchecked, format)
        card = {**card, "sha256": file_digest(unchecked), "checks": checks}
        unchecked.replace(file)
    card_file = file.with_name(f"{file.name}.json")
    write_atomically(card_file, json.dumps(card, indent=2) + "\n")
    return file


def _write(chosen: Format, part: Part, card: dict, path: Path, name: str) -> None:
    images = part.make_images(part.sizes[0], torch.Generator().manual_seed(0))
    try:
        with torch.no_grad():
            chosen.write(part, images, card, path)
    except OSError:
        raise
    except Exception as e:  # exporters raise anything
        raise InputError(
            f"this part cannot be exported to {name} ({describe_error(e):.300})"
        ) from e


@torch.no_grad()
def _check(chosen: Format, part: Part, path: Path, name: str) -> list[dict]:
    """Compares a file with the model at all sizes."""
    run = chosen.load(path)
    generator = torch.Generator().manual_seed(1)
    checks = []
    for size in part.sizes:
        images = part.make_images(size, generator)
        shape = "x".join(map(str, images.shape))
        try:
            expected = part.reference(images)
        except InputError:
            raise
        except Exception as e:
            raise InputError(
                f"the model itself does not take images of shape {shape} "
                f"({describe_error(e):.200}); a program for images of any size needs a "
                "resizer with output_size"
            ) from e
        try:
            output = run(images)
        except Exception as e:
            raise InputError(
                f"the program in {name} does not take images of shape {shape}, as the "
                f"model does ({describe_error(e):.200}); nothing is written"
            ) from e
        scale = float(expected.abs().max()) or 1.0
        error = (
            float((output - expected).abs().max()) / scale
            if output.shape == expected.shape
            else float("inf")
        )
        if not error <= _TOLERANCE:
            raise InputError(
                f"the program in {name} differs from the model by {error:.1e} of its "
                f"largest value for images of shape {shape}, where {_TOLERANCE:.0e} is "
                "accepted; nothing is written"
            )
        checks.append({"images": [*images.shape], "relative_error": error})
    return checks


def _find_name(model: nn.Module) -> str:
    config = getattr(model, "_config", None)
    file = getattr(config, "filename", None)
    return Path(file).stem if file else type(model).__name__.lower()


def _find_classes(model: nn.Module) -> list[str] | None:
    meta = getattr(model, "_dataset_meta", None) or {}
    return list(meta["classes"]) if meta.get("classes") else None


def _describe_ends(part: Part, name: str, resizer: BaseResizer) -> dict:
    """Describes input and output."""
    size = resizer.output_size or ("floor(H * scale)", "floor(W * scale)")
    example = part.make_images(part.sizes[0], torch.Generator().manual_seed(0))
    with torch.no_grad():
        output = part.reference(example)
    shape: list[int | str] = [*example.shape]
    for axis in part.dynamic:
        shape[axis] = "NCHW"[axis]
    pixels = {
        True: "RGB, 0 to 255",
        False: "what the resizer gives"
        if name == "backbone"
        else "normalised by the data preprocessor",
    }[part.uint8]
    return {
        "input": {
            "name": INPUT,
            "shape": shape,
            "type": str(example.dtype).removeprefix("torch."),
            "values": pixels,
        },
        "output": {
            "name": OUTPUT,
            "shape": ["N", output.shape[1], *size]
            if name == "resizer"
            else ["N", *output.shape[1:]],
            "type": str(output.dtype).removeprefix("torch."),
            "values": "an image for the backbone"
            if name == "resizer"
            else "logits, before the softmax",
        },
    }


def _describe_normalization(model: nn.Module) -> dict | None:
    preprocessor: Any = getattr(model, "data_preprocessor", None)
    if getattr(preprocessor, "mean", None) is None:
        return None
    names = ("to_rgb", "_channel_conversion")
    is_rgb = any(getattr(preprocessor, name, False) for name in names)
    return {
        "order": "RGB" if is_rgb else "BGR",
        "mean": preprocessor.mean.flatten().tolist(),
        "std": preprocessor.std.flatten().tolist(),
    }


def _digest_weights(model: nn.Module) -> str:
    """Returns the SHA-256 digest of names, types, shapes and values of the weights."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        value = value.detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
