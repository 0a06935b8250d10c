"""Export of a trained model, or of the part of it that a device runs."""

import json
import os
import tempfile
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor, nn

from mmresizer.hub.loading import load_named_model
from mmresizer.models.utils import digest_weights, get_resizer, takes_rgb
from mmresizer.utils import InputError
from mmresizer.utils.errors import check_bool, check_choice, describe_error
from mmresizer.utils.files import file_digest, make_folder, writing
from mmresizer.utils.tables import show_size
from mmresizer.version import __version__

from .formats import FORMATS, INPUT, OUTPUT, Format
from .parts import PARTS, Part, make_part


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
    height and width. Of a detector it takes those that become 165 px and more on a
    side; smaller ones may be refused. It is run at five sizes and compared with the
    model before it gets its name, ``NAME_PART.SUFFIX``, or ``NAME_PART_uint8.SUFFIX``.
    The card, a file of this name with ``.json`` behind it, is in the file, too: what
    goes in and comes out, how test images are prepared, the classes, the normalisation,
    versions, and the SHA-256 digest of the weights. A resizer with an ``output_range``
    gives levels, uint8, which are what its backbone takes.

    Args:
        model (str | os.PathLike | Config | nn.Module): Name of a model of the zoo, a
            config, or a model with a resizer, which is copied.
        out_dir (str | os.PathLike): Folder for the two files.
        part (str): "resizer"; "backbone", which is all behind the resizer; or "whole",
            the default. Of one-stage detectors the last two give the maps of the head
            as one tensor: see :class:`~mmresizer.deploy.DenseDetector`. Of other
            detectors only the resizer can be exported.
        format (str): "onnx", the default, which needs onnx, onnxscript and onnxruntime;
            "torch-export", "torchscript", or "openvino", which needs openvino.
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
    check_bool("uint8", uint8)
    chosen = FORMATS[format]
    chosen.check_packages()
    loaded = load_named_model(model, checkpoint)
    # A copy: a model that was given keeps its device, and its mode.
    loaded = (deepcopy(loaded) if loaded is model else loaded).cpu().eval()
    taken = make_part(loaded, part, uint8)
    name = _find_name(loaded)
    stem = f"{name}_{part}{'_uint8' if uint8 else ''}{chosen.suffix}"
    generator = torch.Generator().manual_seed(0)
    example = taken.make_images(taken.sizes[0], generator)
    card = {
        "name": name,
        "part": part,
        "format": format,
        **_describe_ends(taken, part, loaded, example, _run_model(taken, example)),
        "classes": _find_classes(loaded),
        "weights_sha256": digest_weights(loaded.state_dict()),
        "versions": {"mmresizer": __version__, **chosen.versions},
    }
    is_new = not Path(out_dir).exists()
    folder = make_folder(out_dir)
    try:
        with (
            writing(folder),
            tempfile.TemporaryDirectory(dir=folder, prefix=".") as made,
        ):
            file = Path(made, stem)
            _write(chosen, taken, example, card, file, format)
            checks = _check(chosen, taken, file, format)
            publish(file, {**card, "checks": checks}, folder)
    except BaseException:
        if is_new:
            with suppress(OSError):  # it is not empty
                folder.rmdir()
        raise
    return folder / stem


def publish(file: Path, card: dict, folder: Path) -> None:
    """Moves a program that is complete to a folder, with its card beside it.

    So are files of the same name with another suffix, which belong to it.
    """
    card_file = file.with_name(f"{file.name}.json")
    card_file.write_text(
        json.dumps({**card, "sha256": file_digest(file)}, indent=2) + "\n"
    )
    for path in sorted(
        file.parent.glob(f"{file.stem}.*"), key=lambda path: path == file
    ):
        path.replace(folder / path.name)


def _write(
    chosen: Format, part: Part, example: Tensor, card: dict, path: Path, name: str
) -> None:
    try:
        with torch.no_grad():
            chosen.write(part, example, card, path)
    except OSError:
        raise
    except Exception as e:  # exporters raise anything
        raise InputError(
            f"this part cannot be exported to {name} ({describe_error(e):.300})"
        ) from e


@torch.no_grad()
def _run_model(part: Part, images: Tensor) -> Tensor:
    """Returns what a file has to give."""
    shape = show_size(images.shape)
    try:
        output = part.reference(images)
    except InputError:
        raise
    except Exception as e:
        raise InputError(
            f"the model itself does not take images of shape {shape} "
            f"({describe_error(e):.200}); a program for images of any size needs a "
            "resizer with output_size"
        ) from e
    if not isinstance(output, Tensor):
        raise InputError(
            "a part that is exported must give one tensor, but the model gives a "
            f"{type(output).__name__}, as if its head were missing or had several tasks"
        )
    return output


@torch.no_grad()
def _check(chosen: Format, part: Part, path: Path, name: str) -> list[dict]:
    """Compares a file with the model at all sizes."""
    try:
        run = chosen.load(path)
    except Exception as e:  # runtimes raise anything
        raise InputError(
            f"the program in {name} does not load ({describe_error(e):.300})"
        ) from e
    generator = torch.Generator().manual_seed(1)
    count, *sides = part.sizes[0]
    first = show_size((count, part.channels, *sides))
    hint = f"; the backbone may fix what was {first} in the export; nothing is written"
    checks = []
    for size in part.sizes:
        images = part.make_images(size, generator)
        shape = show_size(images.shape)
        expected = _run_model(part, images)
        try:
            output = run(images)
        except Exception as e:
            raise InputError(
                f"the program in {name} does not take images of shape {shape}, as the "
                f"model does ({describe_error(e):.200}){hint}"
            ) from e
        error = part.measure_error(output, expected)
        if not error <= part.tolerance:
            raise InputError(
                f"the program in {name} differs from the model by {error:.3g} of its "
                f"largest value for images of shape {shape}, and {part.tolerance:g} "
                f"is accepted{hint}"
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


def _describe_ends(
    part: Part, name: str, model: nn.Module, example: Tensor, output: Tensor
) -> dict:
    """Describes input, resizer and output."""
    resizer = get_resizer(model)
    size = resizer.output_size or ("floor(H * scale)", "floor(W * scale)")
    shape: list[int | str] = [*example.shape]
    for axis in part.dynamic:
        shape[axis] = "NCHW"[axis]
    rounds = resizer.eight_bit is not None
    small = "levels of output_range" if rounds else "an image for the backbone"
    if name == "backbone":
        before = small
    elif part.uint8:
        before = "RGB, 0 to 255, which the file normalises"
    else:
        before = "normalised as below"
    head = type(getattr(model, "head", None) or getattr(model, "bbox_head", model))
    values = f"what {head.__name__} gives, before a softmax or a sigmoid"
    shape_out: list[int | str] = ["N", *output.shape[1:]]
    if name == "resizer":
        values, shape_out = small, ["N", output.shape[1], *size]
    elif part.layout:
        values = f"the maps of {head.__name__}, before boxes are decoded"
        shape_out[1] = "P"
    return {
        "input": {
            "name": INPUT,
            "shape": shape,
            "type": str(example.dtype).removeprefix("torch."),
            "values": before,
        },
        **describe_settings(model),
        "test_pipeline": _find_pipeline(model),
        "output": {
            "name": OUTPUT,
            "shape": shape_out,
            "type": str(part.find_type(output)).removeprefix("torch."),
            "values": values,
            **(part.layout or {}),
        },
    }


def describe_settings(model: nn.Module) -> dict:
    """Describes what an exported program depends on beside weights, as JSON has it."""
    resizer = get_resizer(model)
    settings = {
        "normalization": _describe_normalization(model),
        "resizer": {
            "type": type(resizer).__name__,
            "output_size": resizer.output_size,
            "scale_factor": resizer.scale_factor,
            "interpolation": resizer.interpolation,
            "antialias": resizer.antialias,
            "output_range": resizer.output_range,
        },
    }
    return json.loads(json.dumps(settings))


def _describe_normalization(model: nn.Module) -> dict | None:
    preprocessor: Any = getattr(model, "data_preprocessor", None)
    if preprocessor is None:
        return None
    mean, std = (getattr(preprocessor, key, None) for key in ("mean", "std"))
    return {
        "order": "RGB" if takes_rgb(model) else "BGR",
        "mean": None if mean is None else mean.flatten().tolist(),
        "std": None if std is None else std.flatten().tolist(),
    }


def _find_pipeline(model: nn.Module) -> list | None:
    """Returns how the config makes images for tests, in words that JSON has."""
    config: Any = getattr(model, "_config", None) or {}
    dataset = (config.get("test_dataloader") or {}).get("dataset") or {}
    steps = dataset.get("pipeline")
    return json.loads(json.dumps(steps, default=str)) if steps else None
