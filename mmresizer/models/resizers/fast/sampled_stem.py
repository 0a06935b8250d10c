"""The stem of the learned resizer, computed only where interpolation reads it.

At an integer factor s each output reads the same positions of its s x s block of the
stem's map. Without antialiasing these are few: bilinear interpolation reads the four in
the middle if s is even, and the one in the middle if s is odd. A convolution of stride
s computes one of them for all blocks. For several, its kernel is repeated, shifted by a
position each time, and the outputs become channels.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from ..base_resizer import Interpolation
from ..stem import PADDING, Stem
from .deferred_norm import is_fixed
from .tiled_stem import act_in_place, is_known, map_size

# Of a core, for the map at the positions that are read.
_CACHE_BYTES = 2**20

# Weights of a cubic kernel with a = -0.75, torch's, half a pixel from the centre.
_CUBIC = (-0.09375, 0.59375, 0.59375, -0.09375)


def _find_taps(mode: str, factor: int) -> tuple[int, tuple[float, ...]]:
    """Returns the first position that an output reads of its block, and the weights."""
    half = factor // 2
    if mode == "nearest-exact" or factor % 2:
        return half, (1.0,)
    if mode == "bilinear":
        return half - 1, (0.5, 0.5)
    return half - 2, _CUBIC


def can_sample(
    stem: Stem,
    input_size: Sequence[int],
    interpolation: Interpolation,
    in_inference: bool = False,
) -> bool:
    """Returns whether :func:`sampled_stem` covers a call, and has less to compute.

    Args:
        stem (Stem): The stem.
        input_size (Sequence[int]): Height and width of the images in pixels.
        interpolation (Interpolation): Interpolation of the stem's output.
        in_inference (bool): Whether to tell how it will be in inference. Defaults to
            False: as it is.
    """
    # A batch's statistics are those of the whole map.
    return (
        is_known(stem)
        and (stem.norm_after_resize or is_fixed(stem.norm, in_inference))
        and _count_read(map_size(input_size, stem), interpolation) is not None
    )


def count_skipped_macs(
    stem: Stem, input_size: tuple[int, int], interpolation: Interpolation
) -> int:
    """Counts the multiply-accumulates of a stem that inference leaves out.

    Args:
        stem (Stem): The stem.
        input_size (tuple[int, int]): Height and width of the image in pixels.
        interpolation (Interpolation): Interpolation of the stem's output.

    Returns:
        int: Multiply-accumulates for one image, at positions that are not read.
    """
    if not can_sample(stem, input_size, interpolation, in_inference=True):
        return 0
    size = map_size(input_size, stem)
    read = _count_read(size, interpolation)
    assert read is not None  # by `can_sample`
    skipped = math.prod(size) - read * math.prod(interpolation.size)
    return skipped * (stem.conv1.weight.numel() + stem.conv2.weight.numel())


def _count_read(size: tuple[int, int], interpolation: Interpolation) -> int | None:
    """Counts the positions of a map that an output reads; None if they are many.

    They are at most a half of the positions for each output.
    """
    if interpolation.antialias or interpolation.mode == "area":
        return None
    pairs = [*zip(size, interpolation.size, strict=True)]
    if min(size) < 1 or any(whole % part for whole, part in pairs):
        return None
    factors = [whole // part for whole, part in pairs]
    taps = [_find_taps(interpolation.mode, factor) for factor in factors]
    if any(first < 0 for first, _ in taps):  # it reads beyond the edge
        return None
    count = math.prod([len(weights) for _, weights in taps])  # compilers need a list
    return count if 2 * count <= math.prod(factors) else None


def images_in_cache(x: Tensor, stem: Stem, interpolation: Interpolation) -> int:
    """Returns how many images have maps that a core keeps in its cache, at least 1."""
    channels = 4 * stem.conv1.out_channels  # of bilinear interpolation
    image_bytes = math.prod(interpolation.size) * channels * x.element_size()
    return max(1, _CACHE_BYTES // image_bytes)


def sampled_stem(x: Tensor, *weights: Any, stem: Stem, to: Interpolation) -> Tensor:
    """Computes the stem up to its norm layer and interpolates its output.

    Args:
        x (Tensor): Images of shape (N, C, H, W), for which :func:`can_sample` holds.
        weights (Tensor, optional): As of :func:`stem_weights`.
        stem (Stem): The stem.
        to (Interpolation): Interpolation of the stem's output.

    Returns:
        Tensor: Map of shape (N, mid_channels, *to.size).
    """
    weight1, bias1, weight2, bias2 = weights
    channels, _, kernel_size, _ = weight1.shape
    stride = stem.stride
    padding: list[int] = []
    strides, taps = [], []
    for whole, part, pixels in zip(
        map_size(x.shape[2:], stem), to.size, x.shape[2:], strict=True
    ):
        first, weight = _find_taps(to.mode, whole // part)
        step = whole // part * stride
        kernel = kernel_size + (len(weight) - 1) * stride
        before = PADDING - first * stride  # where it is negative, pixels are cut off
        after = (part - 1) * step + kernel - before - pixels
        padding[:0] = [before, after]  # torch begins with the columns
        strides.append(step)
        taps.append(weight)
    rows, columns = (len(weight) for weight in taps)
    shifted = [
        F.pad(
            weight1,
            [stride * n for n in (j, columns - 1 - j, i, rows - 1 - i)],
        )
        for i in range(rows)
        for j in range(columns)
    ]
    bias = None if bias1 is None else bias1.repeat(len(shifted))
    y = F.conv2d(F.pad(x, padding), torch.cat(shifted), bias, strides)
    y = act_in_place(stem.act1, y)
    batch, shape = len(x), (channels, *to.size)
    y = F.conv2d(y.reshape(batch * len(shifted), *shape), weight2, bias2)
    y = act_in_place(stem.act2, y).reshape(batch, len(shifted), *shape)
    if len(shifted) == 1:
        return y[:, 0]
    if len(set(taps[0] + taps[1])) == 1:
        return y.mean(1)
    outer = torch.outer(*(y.new_tensor(weight) for weight in taps))
    return torch.einsum("p,npchw->nchw", outer.flatten(), y)
