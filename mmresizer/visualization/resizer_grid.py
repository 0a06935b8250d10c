"""Pictures of resizers: input, output and difference."""

import textwrap
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from mmengine.model import BaseModel
from torch import Tensor

from mmresizer.models.utils import get_resizer, normalize_images, restore_pixels
from mmresizer.utils.files import printable

COLUMNS = (
    "input",
    "interpolated",
    "learned",
    "learned - interpolated",
    "log-spectrum, interpolated",
    "log-spectrum, learned",
)


@torch.no_grad()
def draw_resizer(
    model: BaseModel, images: Sequence[Tensor] | Tensor, titles: Sequence[str] = ()
) -> np.ndarray:
    """Draws a grid with a row per image: input, both outputs, difference and spectra.

    "Interpolated" is what the resizer's interpolation does without its CNN. The
    difference is the mean over channels, on a scale of 0 to 255. The spectra are those
    of the grey values of the outputs, with the zero frequency in the middle; both have
    the same colour scale.

    Args:
        model (BaseModel): A model with one resizer and a data preprocessor.
        images (Sequence[Tensor] | Tensor): N images of shape (C, H, W) as the data
            pipeline delivers them; they may differ in size.
        titles (Sequence[str]): Names of the rows.

    Returns:
        np.ndarray: An RGB picture of shape (height, width, 3), uint8.

    Raises:
        InputError: If the model has no resizer.
    """
    rows = _resize_all(model, images)

    figure = Figure(figsize=(2.6 * len(COLUMNS), 2.75 * len(rows) + 0.35), dpi=100)
    axes = figure.subplots(len(rows), len(COLUMNS), squeeze=False)
    for i, (image, interpolated, learned) in enumerate(rows):
        delta = (learned - interpolated).mean(axis=2)
        spectra = _log_spectrum(interpolated), _log_spectrum(learned)
        limit = max(np.abs(delta).max(), 1.0)
        low, high = np.min(spectra), np.max(spectra)
        for axis, picture in zip(
            axes[i, :3], (image, interpolated, learned), strict=True
        ):
            _show(axis, picture, picture.shape)
        axes[i, 3].imshow(
            delta, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest"
        )
        rms = np.sqrt(np.mean(delta**2))
        axes[i, 3].set_xlabel(f"colours span +-{limit:.0f}, rms {rms:.1f}", fontsize=9)
        for axis, spectrum in zip(axes[i, 4:], spectra, strict=True):
            axis.imshow(spectrum, cmap="magma", vmin=low, vmax=high)
            axis.set_xlabel(f"{low:.1f} to {high:.1f} (log10)", fontsize=9)
        if i < len(titles):
            _write(axes[i, 0].set_ylabel, titles[i], 9)
    for axis, title in zip(axes[0], COLUMNS, strict=True):
        axis.set_title(title, fontsize=10)
    return _render(figure)


@torch.no_grad()
def draw_resizers(
    models: Mapping[str, BaseModel],
    images: Sequence[Tensor] | Tensor,
    titles: Sequence[str] = (),
) -> np.ndarray:
    """Draws a grid with a row per image: the input, and the output of each resizer.

    The outputs of a row are enlarged, without interpolation, to the size of its input.

    Args:
        models (Mapping[str, BaseModel]): Models by name, at least one, each with one
            resizer and a data preprocessor; all take the same images.
        images (Sequence[Tensor] | Tensor): N images of shape (C, H, W) as the data
            pipeline delivers them; they may differ in size.
        titles (Sequence[str]): Names of the rows.

    Returns:
        np.ndarray: An RGB picture of shape (height, width, 3), uint8.

    Raises:
        InputError: If a model has no resizer.
    """
    columns = [_resize_all(model, images) for model in models.values()]
    names = ["input", *models]
    figure = Figure(figsize=(2.6 * len(names), 2.75 * len(images) + 0.7), dpi=100)
    axes = figure.subplots(len(images), len(names), squeeze=False)
    for i, row in enumerate(zip(*columns, strict=True)):
        source = row[0][0]
        pictures = [source, *(learned for _, _, learned in row)]
        for axis, picture in zip(axes[i], pictures, strict=True):
            _show(axis, picture, source.shape)
        if i < len(titles):
            _write(axes[i, 0].set_ylabel, titles[i], 9)
    for axis, name in zip(axes[0], names, strict=True):
        _write(axis.set_title, name, 10)
    return _render(figure)


def _resize_all(
    model: BaseModel, images: Sequence[Tensor] | Tensor
) -> list[tuple[np.ndarray, ...]]:
    """Returns :func:`_resize` of each image, in eval mode."""
    resizer = get_resizer(model)
    training = model.training
    model.eval()
    rows = [_resize(model, resizer, image) for image in images]
    model.train(training)
    return rows


def _show(axis: Axes, picture: np.ndarray, size: Sequence[int]) -> None:
    """Draws a picture, enlarged to a size (height, width), with its own size below."""
    shown, note = _displayable(picture)
    axis.imshow(
        shown,
        cmap="gray",
        vmin=0,
        vmax=255,
        interpolation="nearest",
        extent=(-0.5, size[1] - 0.5, size[0] - 0.5, -0.5),
    )
    axis.set_xlabel(f"{picture.shape[0]}x{picture.shape[1]} px{note}", fontsize=9)


def _write(label: Callable, name: str, size: int) -> None:
    """Writes a name in short lines; "$" is no formula, and bytes may be no UTF-8."""
    text = textwrap.fill(printable(name), 28)
    label(text, fontsize=size, parse_math=False)


def _render(figure: Figure) -> np.ndarray:
    """Returns the picture of a figure, (height, width, 3), without ticks."""
    for axis in figure.axes:
        axis.set_xticks([])
        axis.set_yticks([])
    figure.tight_layout()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _resize(model: BaseModel, resizer, image: Tensor) -> tuple[np.ndarray, ...]:
    """Returns input, interpolated and learned image, (H, W, 1 or 3), in 0..255."""
    inputs = normalize_images(model, image[None])
    outputs = inputs, resizer.interpolate(inputs), resizer(inputs)
    pictures = []
    for output in outputs:
        # Of a resizer with more channels the first ones are the image.
        picture = restore_pixels(model, output[:, : inputs.shape[1]])[0]
        if picture.shape[0] == 3:
            picture = picture.flip(0)  # to RGB
        elif picture.shape[0] != 1:
            picture = picture[:3] if picture.shape[0] > 3 else picture[:1]
        pictures.append(picture.permute(1, 2, 0).cpu().numpy())
    return tuple(pictures)


def _displayable(picture: np.ndarray) -> tuple[np.ndarray, str]:
    """Returns a picture in 0..255, and a note if its contrast was changed for that.

    A learned image may leave the range of pixels. If few values are outside, they are
    clipped, as on any display. If many are, the whole picture is brought into range.
    """
    note = ""
    if np.mean((picture < -1) | (picture > 256)) > 0.05:
        low, high = np.percentile(picture, (1, 99))
        picture = (picture - low) * (255 / max(high - low, 1e-6))
        note = f", {low:.0f}..{high:.0f} shown as 0..255"
    return np.clip(picture, 0, 255).astype(np.uint8), note


def _log_spectrum(picture: np.ndarray) -> np.ndarray:
    grey = picture.mean(axis=2)
    # For the FFT the borders are a jump, which would draw a cross without the window.
    window = np.outer(np.hanning(grey.shape[0] + 2), np.hanning(grey.shape[1] + 2))
    grey = (grey - grey.mean()) * window[1:-1, 1:-1]
    return np.log10(np.abs(np.fft.fftshift(np.fft.fft2(grey))) + 1)
