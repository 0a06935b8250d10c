"""The range of an 8-bit resizer, from the images that it is to resize."""

import math
import os
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import torch
from mmengine.config import Config
from mmengine.runner import Runner, set_random_seed
from torch import Tensor, nn

from mmresizer.config.building import set_dataloader_defaults
from mmresizer.config.checks import check_data
from mmresizer.hub.loading import find_config, load_named_model
from mmresizer.models import InterpolationResizer
from mmresizer.models.resizers import EightBit
from mmresizer.models.utils import get_resizer, normalize_images
from mmresizer.utils import InputError
from mmresizer.utils.errors import check_int, describe_error

# Shares of the values that may be cut at either end.
_CUTS = (0.0, 1e-5, 1e-4, 1e-3, 3e-3, 1e-2)
# Values of each channel to judge a range by, in all.
_NUM_VALUES = 1_000_000
# Of the ends, so that configs stay readable.
_DECIMALS = 3

Range = tuple[list[float], list[float]]


def calibrate_output_range(
    model: str | os.PathLike | Config,
    checkpoint: str | os.PathLike | None = None,
    num_images: int = 500,
) -> Range:
    """Finds the range in which the output of a trained resizer loses least in 8 bits.

    The resizer runs on images of the training set, as the config loads them. Of each
    channel the range is chosen whose 256 levels are closest to its values, by the mean
    squared error: all values, or up to 1 % cut at either end. Interpolation gives
    pixels, and gets the range of these.

    Args:
        model (str | os.PathLike | Config): Name of a model of the zoo, or a config.
        checkpoint (str | os.PathLike, optional): Weights. A config needs them; for a
            model of the zoo they replace its own.
        num_images (int): Number of images, at most. Defaults to 500.

    Returns:
        tuple[list[float], list[float]]: The lower and the upper ends, with one number
        per channel: the ``output_range`` of the resizer.

    Raises:
        InputError: If the model, its weights or its training set is at fault.
    """
    check_int("num_images", num_images, 1)
    cfg = deepcopy(find_config(model)[0])
    if not cfg.get("train_dataloader"):
        raise InputError(f"the config {cfg.filename} has no train_dataloader")
    set_dataloader_defaults(cfg)
    check_data(cfg, "train_dataloader")
    loaded = load_named_model(model, checkpoint).cpu().eval()
    resizer = get_resizer(loaded)
    if isinstance(resizer, InterpolationResizer):
        return find_pixel_range(loaded)
    resizer.eight_bit = None  # what is measured is what it gives without rounding
    samples: list[Tensor] = []
    count = 0
    per_image = max(1, _NUM_VALUES // num_images)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for images in load_training_images(loaded, cfg):
            for output in resizer(images[: num_images - count]):
                values = output.flatten(1)
                chosen = torch.randperm(values.shape[1], generator=generator)
                samples.append(values[:, chosen[:per_image]])
            count = len(samples)
            if count >= num_images:
                break
    ends = [_find_ends(row) for row in torch.cat(samples, 1).double()]
    low, high = (list(side) for side in zip(*ends, strict=True))
    return low, high


def find_pixel_range(model: nn.Module) -> Range:
    """Returns what the pixels 0 and 255 are behind the data preprocessor of a model."""
    mean = getattr(getattr(model, "data_preprocessor", None), "mean", None)
    channels = 3 if mean is None else mean.numel()
    low, high = (
        normalize_images(
            model, torch.full((1, channels, 1, 1), value, dtype=torch.uint8)
        )
        for value in (0, 255)
    )
    return low.flatten().tolist(), high.flatten().tolist()


def load_training_images(model: Any, cfg: Config) -> Iterator[Tensor]:
    """Yields batches of training images, as the model hands them to its resizer."""
    try:
        set_random_seed(0)  # augmentation draws from the global generators
        loader = Runner.build_dataloader(cfg.train_dataloader, seed=0)
        for batch in loader:
            yield model.data_preprocessor(batch, training=False)["inputs"]
    except (InputError, OSError):
        raise
    except Exception as e:  # datasets and transforms raise anything
        raise InputError(
            f"cannot load the training images of {cfg.filename} ({describe_error(e)})"
        ) from e


def _find_ends(values: Tensor) -> tuple[float, float]:
    ordered = values.sort().values
    last = len(ordered) - 1
    if not bool(ordered.isfinite().all()):
        raise InputError("the resizer gives values that are no numbers or infinite")
    unit = 10.0**_DECIMALS
    candidates = {
        (
            math.floor(float(ordered[round(low * last)]) * unit) / unit,
            math.ceil(float(ordered[round((1 - high) * last)]) * unit) / unit,
        )
        for low in _CUTS
        for high in _CUTS
    }
    # A channel of one value has no range; any above it holds the value.
    wide = {(low, max(high, low + 1 / unit)) for low, high in candidates}
    images = values.view(1, 1, 1, -1)
    return min(
        sorted(wide),
        key=lambda ends: float((EightBit(ends)(images) - images).square().mean()),
    )
