"""Exported programs in 8 or 16 bits, and what that costs in accuracy."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmpretrain.models import ImageClassifier
from mmpretrain.models.heads import ClsHead
from torch import Tensor, nn

from mmresizer.deploy import read_card
from mmresizer.deploy.calibration import load_training_images
from mmresizer.deploy.export import describe_settings, publish
from mmresizer.deploy.formats import FORMATS, INPUT, quiet, save_onnx
from mmresizer.models.utils import (
    check_weights,
    digest_weights,
    get_resizer,
    load_checkpoint,
    round_pixels,
)
from mmresizer.utils import InputError
from mmresizer.utils.errors import check_choice, check_int, describe_error
from mmresizer.utils.files import make_folder, writing

from .testing import build_test, take_numbers

PRECISIONS = ("int8", "float16")
_SUFFIX = FORMATS["onnx"].suffix


def quantize_file(
    file: str | os.PathLike,
    cfg: Config,
    checkpoint: str | os.PathLike,
    precision: str = "int8",
    num_images: int = 200,
) -> Path:
    """Writes an exported ONNX file in lower precision, and tests both files.

    ONNX Runtime quantises: "int8" with ranges from training images ("static", weights
    per channel), "float16" without data. Inputs and outputs keep their types. The new
    file lies beside the other one and has the precision in its name. Its card has the
    metrics of both files, measured with ONNX Runtime on the test set of the config.

    Args:
        file (str | os.PathLike): From :func:`mmresizer.apis.export_model`, "onnx".
        cfg (Config): Config of the model.
        checkpoint (str | os.PathLike): Its weights, which must be those of the file.
        precision (str): "int8", the default, or "float16".
        num_images (int): Number of training images, at most, for "int8". Defaults to
            200.

    Returns:
        Path: The file.

    Raises:
        InputError: If the file is none of ours, is of other weights or settings or is
            in lower precision already, the config or its data is at fault, ONNX Runtime
            refuses, or the model is neither tested by MMPretrain's heads nor a resizer
            alone.
    """
    check_choice("precision", precision, PRECISIONS)
    check_int("num_images", num_images, 1)
    path = Path(file)
    if path.suffix != _SUFFIX:
        raise InputError(f"only {_SUFFIX} files can be quantised, got {str(file)!r}")
    FORMATS["onnx"].check_packages()
    import onnx

    card = read_card(path)
    if "metrics" in card:
        raise InputError(f"{str(file)!r} is in {card['precision']} already")
    runner = build_test(cfg, os.fspath(checkpoint))
    model = runner.model
    is_head = isinstance(model, ImageClassifier) and isinstance(model.head, ClsHead)
    if card["part"] != "resizer" and not is_head:
        raise InputError(
            f"of a {type(model).__name__} only the part 'resizer' can be quantised, "
            f"but {str(file)!r} has the part {card['part']!r}"
        )
    weights = load_checkpoint(os.fspath(checkpoint))["state_dict"]
    check_weights(model, weights, f"the checkpoint {str(checkpoint)!r}")
    model.eval()
    if digest_weights(model.state_dict()) != card["weights_sha256"]:
        raise InputError(
            f"{str(file)!r} was exported from other weights than {str(checkpoint)!r}"
        )
    for part, settings in describe_settings(model).items():
        for name, value in (settings or {}).items():
            exported = (card[part] or {}).get(name)
            if value != exported:
                raise InputError(
                    f"{str(file)!r} was exported with {name}={exported}, but the "
                    f"config has {value}; it must be the one that was exported"
                )
    feeds = (_make_feed(model, card, x) for x in load_training_images(model, cfg))
    target = path.with_name(f"{path.stem}_{precision}{_SUFFIX}")
    make_folder(path.parent)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as folder:
        made = Path(folder, target.name)
        _reduce(path, made, precision, _take(feeds, num_images))
        metrics = {}
        for name, program in (("float32", path), (precision, made)):
            with _replaced(model, card, program):
                metrics[name] = take_numbers(runner.test())
        card = {**card, "precision": precision, "metrics": metrics}
        with writing(path.parent):
            save_onnx(onnx.load(made), made, card)
            publish(made, card, path.parent)
    return target


def _take(feeds: Iterator[np.ndarray], num_images: int) -> Iterator[np.ndarray]:
    """Yields arrays of one image each."""
    singles = (feed[i : i + 1] for feed in feeds for i in range(len(feed)))
    yield from islice(singles, num_images)


@torch.no_grad()
def _make_feed(model: nn.Module, card: dict, images: Tensor) -> np.ndarray:
    """Returns what a program takes for images that the data preprocessor gave."""
    is_bytes = card["input"]["type"] == "uint8"
    if card["part"] == "backbone":
        resizer = get_resizer(model)
        small = resizer(images)
        if is_bytes:
            assert resizer.eight_bit is not None  # as in the card
            small = resizer.eight_bit.encode(small)
        return small.cpu().numpy()
    if is_bytes:
        return round_pixels(model, images).flip(1).cpu().numpy()
    return images.cpu().numpy()


@contextmanager
def _replaced(model: Any, card: dict, program: Path) -> Iterator[None]:
    """Makes a program the part of the model that it was exported from."""
    run = FORMATS["onnx"].load(program)

    def call(images: Tensor) -> Tensor:
        output = run(torch.from_numpy(_make_feed(model, card, images)))
        return output.to(images.device)

    def resize(images: Tensor) -> Tensor:
        output = call(images)
        return output if eight_bit is None else eight_bit.decode(output)

    resizer = get_resizer(model)
    eight_bit = resizer.eight_bit
    parts: list[tuple[Any, str, Callable]] = [(resizer, "forward", resize)]
    if card["part"] != "resizer":
        parts = [
            (model, "extract_feat", lambda images, *_, **__: call(images)),
            (model.head, "forward", lambda logits: logits),
        ]
    for module, method, function in parts:
        setattr(module, method, function)
    try:
        yield
    finally:
        for module, method, _ in parts:
            delattr(module, method)  # that of its class is back


def _reduce(
    source: Path, target: Path, precision: str, feeds: Iterator[np.ndarray]
) -> None:
    """Writes a program in lower precision."""
    import onnx
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process
    from onnxruntime.transformers.float16 import convert_float_to_float16

    class Reader(quantization.CalibrationDataReader):
        def get_next(self) -> dict | None:
            feed = next(feeds, None)
            return None if feed is None else {INPUT: feed}

    try:
        with quiet():
            if precision == "float16":
                half = convert_float_to_float16(onnx.load(source), keep_io_types=True)
                onnx.save(half, target)
                return
            prepared = target.with_suffix(".prepared")
            quant_pre_process(source, prepared)
            quantization.quantize_static(
                prepared,
                target,
                Reader(),
                per_channel=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
            )
            prepared.unlink()
    except (InputError, OSError):
        raise
    except Exception as e:  # from ONNX Runtime, of many kinds
        raise InputError(
            f"ONNX Runtime cannot make {precision} of {str(source)!r} "
            f"({describe_error(e):.300})"
        ) from e
