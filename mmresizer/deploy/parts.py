"""The parts of a model that are exported, as modules of tensors alone."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from mmpretrain.models import BaseClassifier
from torch import Tensor, nn

from mmresizer.models import BaseResizer
from mmresizer.models.utils import (
    get_resizer,
    normalize_images,
    takes_rgb,
    without_resizer,
)
from mmresizer.utils import InputError

PARTS = ("resizer", "backbone", "whole")
# What the resizer gives, in pixels, where the size of its output follows the input.
_TYPICAL_SIDE = 64
_SMALLEST_SIDE = 32  # for a backbone; a resizer alone gives two pixels
_SMALLEST_INPUT = 8


@dataclass(frozen=True)
class Part:
    """A part of a model.

    Attributes:
        module (nn.Module): Maps one tensor of images to one tensor, in eval mode.
        reference (Callable): Maps the same tensor to what the part has to give, by the
            model itself.
        sizes (list[tuple[int, int, int]]): Five numbers of images, heights and widths
            to check. The first one is for the export.
        dynamic (tuple[int, ...]): The axes of the images whose length may differ.
        channels (int): Number of channels of the images.
        uint8 (bool): Whether the images are RGB, uint8, instead of normalised.
    """

    module: nn.Module
    reference: Callable[[Tensor], Tensor]
    sizes: list[tuple[int, int, int]]
    dynamic: tuple[int, ...]
    channels: int
    uint8: bool

    def make_images(self, size: tuple[int, int, int], generator: Any) -> Tensor:
        """Makes random images of a size."""
        count, height, width = size
        shape = (count, self.channels, height, width)
        if self.uint8:
            return torch.randint(256, shape, generator=generator, dtype=torch.uint8)
        return torch.randn(shape, generator=generator)


def make_part(model: nn.Module, part: str, uint8: bool) -> Part:
    """Takes a part of a model in eval mode.

    Args:
        model (nn.Module): A model with a resizer.
        part (str): One of :data:`PARTS`.
        uint8 (bool): Whether the part takes RGB images, uint8, and normalises them as
            the model does.

    Raises:
        InputError: If the model does not have such a part.
    """
    resizer = get_resizer(model)
    is_classifier = isinstance(model, BaseClassifier)
    if part != "resizer" and not is_classifier:
        raise InputError(
            f"of a {type(model).__name__} only the part 'resizer' can be exported, "
            f"but got {part!r}"
        )
    if uint8 and part == "backbone":
        raise InputError(
            "the part 'backbone' takes what the resizer gives, which is no image of "
            "uint8"
        )
    channels = getattr(resizer, "in_channels", 3)
    if uint8 and channels != 3:
        raise InputError(f"images of uint8 are RGB, but the resizer has {channels}")
    types = {p.dtype for p in model.parameters()} - {torch.float32}
    if types:
        raise InputError(
            f"only weights of torch.float32 can be exported, but some are {types.pop()}"
        )
    run: nn.Module = resizer if part == "resizer" else model
    if part == "backbone":
        run = without_resizer(model)

    def reference(images: Tensor) -> Tensor:
        if uint8:
            images = normalize_images(model, images.flip(1))
        return run(images)

    module = nn.Sequential(_Normalize(model), run) if uint8 else run

    if part == "backbone" and resizer.output_size is not None:
        sizes = [(n, *resizer.output_size) for n in (2, 1, 3, 5, 8)]
        dynamic: tuple[int, ...] = (0,)
    else:
        sizes, dynamic = _list_sizes(resizer, part), (0, 2, 3)
    return Part(module.eval(), reference, sizes, dynamic, channels, uint8)


class _Normalize(nn.Module):
    """What a data preprocessor does, from RGB images of uint8."""

    def __init__(self, model: nn.Module):
        super().__init__()
        # Found by what the model does: preprocessors of several libraries differ.
        black, white = (
            normalize_images(model, torch.full((1, 3, 1, 1), value, dtype=torch.uint8))
            for value in (0, 255)
        )
        self.is_rgb = takes_rgb(model)
        self.scale: Tensor
        self.register_buffer("scale", (white - black) / 255)
        self.shift: Tensor
        self.register_buffer("shift", black)

    def forward(self, images: Tensor) -> Tensor:
        """Normalises images of shape (N, 3, H, W)."""
        x = images.float()
        return (x if self.is_rgb else x.flip(1)) * self.scale + self.shift


def _list_sizes(resizer: BaseResizer, part: str) -> list[tuple[int, int, int]]:
    """Returns sizes of batches: landscape, portrait, odd, smallest and large."""
    scale = (1.0, 1.0) if part == "backbone" else resizer.scale_factor
    if scale is None:
        assert resizer.output_size is not None  # by its constructor
        h, w = resizer.output_size
        small = _SMALLEST_INPUT
    else:
        h, w = (max(1, round(_TYPICAL_SIDE / factor)) for factor in scale)
        least = 2 if part == "resizer" else _SMALLEST_SIDE
        small = max(_SMALLEST_INPUT, math.ceil(least / min(scale)))
    return [
        (2, 2 * h, 3 * w),
        (1, 3 * h, 2 * w),
        (3, 2 * h + 1, 2 * w - 1),
        (1, small, small),
        (1, 4 * h, 4 * w),
    ]
