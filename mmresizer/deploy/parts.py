"""The parts of a model that are exported, as modules of tensors alone."""

import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from mmpretrain.models import BaseClassifier
from mmpretrain.models.utils import ShiftWindowMSA
from torch import Tensor, nn

from mmresizer.models import BaseResizer, ResizerDetector
from mmresizer.models.resizers import EightBit
from mmresizer.models.utils import (
    get_resizer,
    normalize_images,
    takes_rgb,
    without_resizer,
)
from mmresizer.utils import InputError

from .dense_detector import DenseDetector

PARTS = ("resizer", "backbone", "whole")
# What the resizer gives, in pixels, where the size of its output follows the input.
_TYPICAL_SIDE = 64
_SMALLEST_SIDE = 32  # for a backbone; a resizer alone gives two pixels
# The coarsest maps of detectors have cells of 128 pixels; a program for more than one
# of them does not take one. Maps of such a side do not halve evenly.
_DETECTOR_SIDE = 165
_SMALLEST_INPUT = 8
# Largest difference from the model, over the largest value that the model gives.
_TOLERANCE = 1e-4
# Where a value lies between two levels, it may go either way: what a backbone makes of
# them may differ by so much.
_TOLERANCE_OF_ROUNDING = 1e-2
_MAX_LEVEL = 255


@dataclass(frozen=True)
class Part:
    """A part of a model.

    Attributes:
        module (nn.Module): Maps one tensor of images to one tensor, in eval mode. A
            resizer with an ``output_range`` gives levels, uint8, which the backbone
            takes.
        reference (Callable): Maps the same tensor to what the part has to give, by the
            model itself. Levels are not rounded.
        sizes (list[tuple[int, int, int]]): Five numbers of images, heights and widths
            to check. The first one is for the export.
        dynamic (tuple[int, ...]): The axes of the images whose length may differ.
        channels (int): Number of channels of the images.
        uint8 (bool): Whether the images are uint8, instead of floating point.
        gives_levels (bool): Whether the module gives levels.
        rounds_inside (bool): Whether there is a backbone behind a resizer that rounds.
        layout (dict, optional): Of the output of a detector: see
            :class:`DenseDetector`.
    """

    module: nn.Module
    reference: Callable[[Tensor], Tensor]
    sizes: list[tuple[int, int, int]]
    dynamic: tuple[int, ...]
    channels: int
    uint8: bool
    gives_levels: bool
    rounds_inside: bool
    layout: dict[str, Any] | None = None

    def measure_error(self, output: Tensor, expected: Tensor) -> float:
        """Returns how far outputs are from what the part has to give.

        It is the largest difference over the largest value. Of levels it is what
        rounding does not explain. Of a detector it is the worst of its kinds of maps.
        """
        if output.shape != expected.shape or output.dtype != self.find_type(expected):
            return math.inf
        if self.layout:
            kinds = [*self.layout["channels"].values()]
            pairs = zip(output.split(kinds, 2), expected.split(kinds, 2), strict=True)
            return max(_relative_error(*pair) for pair in pairs)
        difference = float((output.double() - expected.double()).abs().max())
        if self.gives_levels:
            return max(0.0, difference - 0.5) / _MAX_LEVEL
        return _relative_error(output, expected)

    def find_type(self, expected: Tensor) -> torch.dtype:
        """Returns the type of what the module gives."""
        return torch.uint8 if self.gives_levels else expected.dtype

    @property
    def tolerance(self) -> float:
        """The error that is accepted."""
        return _TOLERANCE_OF_ROUNDING if self.rounds_inside else _TOLERANCE

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
        model (nn.Module): A model with a resizer. Its windows of attention are changed
            so that they can be exported; what it gives is the same.
        part (str): One of :data:`PARTS`.
        uint8 (bool): Whether the part takes RGB images, uint8, and normalises them as
            the model does.

    Raises:
        InputError: If the model does not have such a part.
    """
    resizer = get_resizer(model)
    eight_bit = resizer.eight_bit
    is_detector = isinstance(model, ResizerDetector)
    if part != "resizer" and not (is_detector or isinstance(model, BaseClassifier)):
        raise InputError(
            f"of a {type(model).__name__} only the part 'resizer' can be exported, "
            f"but got {part!r}"
        )
    if uint8 and part == "backbone":
        raise InputError(
            "uint8=True is for parts that take images, but the part 'backbone' takes "
            "what the resizer gives"
        )
    channels = resizer.out_channels if part == "backbone" else resizer.in_channels
    if uint8 and channels != 3:
        raise InputError(f"images of uint8 are RGB, but the resizer has {channels}")
    types = {p.dtype for p in model.parameters()} - {torch.float32}
    if types:
        raise InputError(
            f"only weights of torch.float32 can be exported, but some are {types.pop()}"
        )
    for module in model.modules():
        if isinstance(module, ShiftWindowMSA):
            module.window_reverse = _join_windows
    is_behind = part == "backbone"
    run: nn.Module = resizer if part == "resizer" else model
    before: nn.Module | None = _Normalize(model) if uint8 else None
    after: nn.Module | None = None
    if is_behind:
        run = without_resizer(model)
        before = None if eight_bit is None else _Decode(eight_bit)
    elif part == "resizer" and eight_bit is not None:
        resizer = deepcopy(resizer)
        resizer.eight_bit = None
        run, after = resizer, _Encode(eight_bit)

    if is_behind and resizer.output_size is not None:
        sizes = [(n, *resizer.output_size) for n in (2, 1, 3, 5, 8)]
        dynamic: tuple[int, ...] = (0,)
    else:
        sizes, dynamic = _list_sizes(resizer, part, is_detector), (0, 2, 3)
    layout = None
    if part != "resizer" and is_detector:
        run = DenseDetector(run, torch.zeros(1, channels, *sizes[0][1:]))
        layout = run.layout

    def reference(images: Tensor) -> Tensor:
        if uint8:
            images = normalize_images(model, images.flip(1))
        elif before is not None:
            images = before(images)
        output = run(images)
        return output if eight_bit is None or after is None else eight_bit.scale(output)

    module = nn.Sequential(*(step for step in (before, run, after) if step is not None))
    return Part(
        module.eval(),
        reference,
        sizes,
        dynamic,
        channels,
        uint8=before is not None,
        gives_levels=after is not None,
        rounds_inside=eight_bit is not None and part == "whole",
        layout=layout,
    )


def _relative_error(output: Tensor, expected: Tensor) -> float:
    """Returns the largest difference over the largest value."""
    difference = float((output.double() - expected.double()).abs().max())
    return difference / (float(expected.abs().max()) or 1.0)


def _join_windows(windows: Tensor, height: int, width: int, side: int) -> Tensor:
    """Does what MMPretrain's function does, for any number of images.

    That one takes the number of images from the example of the export.

    Args:
        windows (Tensor): Shape (N * windows of an image, side, side, C).
        height (int): Of the map.
        width (int): Of the map.
        side (int): Of a window.

    Returns:
        Tensor: Maps of shape (N, height, width, C).
    """
    x = windows.unflatten(0, (-1, height // side, width // side))
    return x.transpose(2, 3).flatten(1, 2).flatten(2, 3)


class _Encode(nn.Module):
    """From values to the levels that are sent."""

    def __init__(self, eight_bit: EightBit):
        super().__init__()
        self.eight_bit = eight_bit

    def forward(self, values: Tensor) -> Tensor:
        """Returns levels of shape (N, C, H, W), uint8."""
        return self.eight_bit.encode(values)


class _Decode(_Encode):
    """From the levels that are sent to values."""

    def forward(self, levels: Tensor) -> Tensor:
        """Returns values of shape (N, C, H, W), float32."""
        return self.eight_bit.decode(levels)


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


def _list_sizes(
    resizer: BaseResizer, part: str, is_detector: bool
) -> list[tuple[int, int, int]]:
    """Returns sizes of batches: landscape, portrait, odd, smallest and large."""
    scale = (1.0, 1.0) if part == "backbone" else resizer.scale_factor
    if scale is None:
        assert resizer.output_size is not None  # by its constructor
        h, w = resizer.output_size
        small = _SMALLEST_INPUT
    else:
        typical, least = _TYPICAL_SIDE, 2
        if part != "resizer":
            least = _DETECTOR_SIDE if is_detector else _SMALLEST_SIDE
            typical = max(typical, least)
        h, w = (max(1, round(typical / factor)) for factor in scale)
        small = max(_SMALLEST_INPUT, math.ceil(least / min(scale)))
    return [
        (2, 2 * h, 3 * w),
        (1, 3 * h, 2 * w),
        (3, 2 * h + 1, 2 * w - 1),
        (1, small, small),
        (1, 4 * h, 4 * w),
    ]
