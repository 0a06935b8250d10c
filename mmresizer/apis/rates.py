"""Accuracy against the bytes of what is sent: the image, or the resizer's output."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch
from mmengine.config import Config
from torch import Tensor, nn

from mmresizer.deploy.calibration import find_pixel_range
from mmresizer.models import InterpolationResizer
from mmresizer.models.resizers import EightBit
from mmresizer.models.utils import (
    get_resizer,
    normalize_images,
    round_pixels,
    takes_rgb,
)
from mmresizer.utils import InputError
from mmresizer.utils.files import make_folder, writing
from mmresizer.utils.machine import describe_machine
from mmresizer.utils.tables import make_table, show_size, write_csv
from mmresizer_client.codecs import Codec

from .testing import build_test, take_numbers

IMAGE, OUTPUT = "image", "output"
_UNSENT = "none"


@dataclass
class Rate:
    """One row of the results: a model on a test set, after something was sent.

    Attributes:
        model (str): Its name. Seeds of a model share one.
        sent (str): "image", before the resizer, or "output", behind it.
        size (str): Of what is sent, HxW, in pixels.
        codec (str): How it is sent, or "none": not at all, and not rounded.
        bytes_per_image (float, optional): Mean over the images.
        metric (str): The first metric of the config's evaluator.
        value (float): Its value.
        images (int): Number of images.
    """

    model: str
    sent: str
    size: str
    codec: str
    bytes_per_image: float | None
    metric: str
    value: float
    images: int
    machine: str
    date: str


def measure_rates(
    models: Sequence[tuple[str, Config, str | os.PathLike]],
    codecs: Sequence[Codec],
    image_codecs: Sequence[Codec],
    out_dir: str | os.PathLike,
) -> list[Rate]:
    """Measures the metric of models on their test sets against the bytes sent.

    The output of each resizer is sent with each codec, and what is received is what the
    backbone sees. A learned resizer needs an ``output_range``
    (``tools/deploy/calibrate.py``). Interpolation gives pixels: its output is rounded
    to those of an image, 0 to 255. Of models of the first name the images are sent,
    too, as the resizer gets them, after the loading, resizing and cropping of the test
    pipeline.

    Args:
        models (Sequence[tuple[str, Config, str | os.PathLike]]): Names, configs and
            checkpoints. Models of one name, such as seeds, share a row of the table and
            a point of the plot: their mean.
        codecs (Sequence[Codec]): For outputs.
        image_codecs (Sequence[Codec]): For images.
        out_dir (str | os.PathLike): Folder for ``rates.csv``, which is written after
            each row, ``rates.md`` and ``rates.png``.

    Returns:
        list[Rate]: The rows.

    Raises:
        InputError: If a config, its data or a checkpoint is at fault, a learned resizer
            has no ``output_range``, a codec does not take its channels, or the metrics
            of the models differ.
    """
    if not models or not (codecs or image_codecs):
        raise InputError("there must be a model, and a codec to send something with")
    if not all(name.strip() for name, _, _ in models):
        raise InputError("each model must have a name")
    codecs, image_codecs = [*dict.fromkeys(codecs)], [*dict.fromkeys(image_codecs)]
    folder = make_folder(out_dir)
    runners = []
    for name, cfg, checkpoint in models:
        runner = build_test(cfg, os.fspath(checkpoint))
        runners.append((name, runner, _find_range(runner.model, codecs)))
    rows: list[Rate] = []
    for name, runner, eight_bit in runners:
        plan: list[tuple[str, Codec | None]] = [(OUTPUT, None)]
        plan += [(OUTPUT, codec) for codec in codecs]
        if name == models[0][0]:
            plan += [(IMAGE, codec) for codec in image_codecs]
        for sent, codec in plan:
            with _sending(runner.model, eight_bit, sent, codec) as sizes:
                metrics = take_numbers(runner.test())
            metric = rows[0].metric if rows else next(iter(metrics))
            if metric not in metrics:
                raise InputError(
                    f"all models must have the metric {metric!r} of the first one, but "
                    f"{name!r} has {', '.join(metrics)}"
                )
            row = Rate(
                model=name,
                sent=sent,
                size=sizes.shown,
                codec=_UNSENT if codec is None else str(codec),
                bytes_per_image=None if codec is None else round(sizes.mean, 1),
                metric=metric,
                value=round(metrics[metric], 4),
                images=len(runner.test_loop.dataloader.dataset),
                machine=describe_machine(sizes.device),
                date=date.today().isoformat(),
            )
            rows.append(row)
            with writing(folder):
                write_csv(folder / "rates.csv", list(map(asdict, rows)))
    with writing(folder):
        write_rates(folder)
    return rows


def write_rates(folder: Path) -> None:
    """Writes ``rates.md`` and ``rates.png`` from the ``rates.csv`` of a folder."""
    rows = pd.read_csv(folder / "rates.csv")
    (folder / "rates.md").write_text(f"{_make_table(rows)}\n")
    _plot(rows, folder / "rates.png")


def _find_range(model: nn.Module, codecs: Sequence[Codec]) -> EightBit:
    """Takes the range of a resizer, which then rounds no more.

    Raises:
        InputError: If a learned resizer has no range, or a codec does not take its
            channels.
    """
    resizer = get_resizer(model)
    eight_bit = resizer.eight_bit
    resizer.eight_bit = None
    if eight_bit is None and not isinstance(resizer, InterpolationResizer):
        raise InputError(
            f"a {type(resizer).__name__} without output_range gives no bytes; "
            "tools/deploy/calibrate.py finds its range"
        )
    if eight_bit is None:
        device = next(model.parameters()).device
        return EightBit(find_pixel_range(model)).to(device)
    probe = np.arange(resizer.out_channels, dtype=np.uint8).reshape(1, 1, -1)
    for codec in codecs:
        codec.encode(probe)
    return eight_bit


class _Sizes:
    """What was sent: numbers of bytes, height and width, and where it was computed."""

    def __init__(self) -> None:
        self.total = 0
        self.count = 0
        self.shown = ""
        self.device = "cpu"

    @property
    def mean(self) -> float:
        return self.total / max(1, self.count)


@contextmanager
def _sending(
    model: nn.Module, eight_bit: EightBit, sent: str, codec: Codec | None
) -> Iterator[_Sizes]:
    """Sends the images or the outputs of a model's resizer while it is active."""
    resizer = get_resizer(model)
    is_rgb = takes_rgb(model)
    sizes = _Sizes()

    def send(levels: Tensor) -> Tensor:
        """Sends levels of shape (N, C, H, W), in RGB if they are pixels."""
        assert codec is not None
        received = []
        for image in levels.permute(0, 2, 3, 1).cpu().numpy():
            data = codec.encode(image)
            sizes.total += len(data)
            sizes.count += 1
            received.append(codec.decode(data, image.shape))
        return torch.from_numpy(np.stack(received)).permute(0, 3, 1, 2)

    def send_image(_: nn.Module, args: tuple[Tensor]) -> tuple[Tensor]:
        (images,) = args
        sizes.shown = show_size(images.shape[-2:])
        sizes.device = images.device.type
        received = send(round_pixels(model, images).flip(1)).flip(1).to(images.device)
        return (normalize_images(model, received).to(images.dtype),)

    def send_output(_: nn.Module, args: tuple[Tensor], output: Tensor) -> Tensor:
        sizes.shown = show_size(output.shape[-2:])
        sizes.device = output.device.type
        if codec is None:
            return output
        levels = eight_bit.encode(output)
        received = send(levels if is_rgb else levels.flip(1)).to(output.device)
        values = eight_bit.decode(received if is_rgb else received.flip(1))
        return values.to(output.dtype)

    if sent == IMAGE:
        handle = resizer.register_forward_pre_hook(send_image)
    else:
        handle = resizer.register_forward_hook(send_output)
    try:
        yield sizes
    finally:
        handle.remove()


def _average(rows: pd.DataFrame) -> pd.DataFrame:
    """Returns means over the models of a name, in the order of the rows."""
    return (
        rows.groupby(["model", "sent", "size", "codec"], sort=False)
        .agg(
            models=("value", "size"),
            bytes_per_image=("bytes_per_image", "mean"),
            value=("value", "mean"),
            lowest=("value", "min"),
            highest=("value", "max"),
        )
        .reset_index()
    )


def _make_table(rows: pd.DataFrame) -> str:
    metric = rows.metric[0]
    header = ["model", "sent", "size", "codec", "bytes per image", metric, "models"]
    cells = []
    for row in _average(rows).itertuples():
        size = "-" if row.codec == _UNSENT else f"{row.bytes_per_image:,.0f}"
        value = f"{row.value:.4g}"
        if row.models > 1:
            value += f" ({row.lowest:.4g} to {row.highest:.4g})"
        names = [row.model, row.sent, row.size, row.codec]
        cells.append([*names, size, value, str(row.models)])
    return make_table(header, cells)


def _plot(rows: pd.DataFrame, path: Path) -> None:
    table = _average(rows[rows.codec != _UNSENT])
    table["what is sent"] = table["model"] + ": " + table["sent"]
    figure, axes = plt.subplots(figsize=(10, 5.5), layout="constrained")
    sns.scatterplot(
        table,
        x="bytes_per_image",
        y="value",
        hue="what is sent",
        style="codec",
        palette="colorblind",
        s=70,
        ax=axes,
    )
    axes.set(
        xscale="log", xlabel="bytes per image (mean)", ylabel=f"{rows.metric[0]} (mean)"
    )
    axes.grid(alpha=0.3)
    sns.move_legend(axes, "upper left", bbox_to_anchor=(1, 1), frameon=False)
    figure.savefig(path, dpi=150)
    plt.close(figure)
