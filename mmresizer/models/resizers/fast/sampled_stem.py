"""The stem of the learned resizer, computed only where interpolation reads it.

At an integer factor s each output reads the same positions of its s x s block of the
stem's map. Without antialiasing these are few: bilinear interpolation reads the four in
the middle if s is even, and the one in the middle if s is odd. A convolution of stride
s computes one of them for all blocks. For several, its kernel is repeated, shifted by a
position each time, and the outputs become channels.
"""

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from ..base_resizer import Interpolation
from ..stem import PADDING, Stem
from .deferred_norm import is_fixed
from .tiled_stem import act_in_place, is_known, map_size

# What cores share, about.
_CACHE_BYTES = 2**23

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


def can_sample(x: Tensor, stem: Stem, interpolation: Interpolation) -> bool:
    """Returns whether :func:`sampled_stem` covers a call, and has less to compute.

    Args:
        x (Tensor): Images of shape (N, C, H, W).
        stem (Stem): The stem.
        interpolation (Interpolation): Interpolation of the stem's output.
    """
    if (
        not is_known(stem)
        or not is_fixed(stem.norm)  # a batch's statistics are those of the whole map
        or interpolation.antialias
        or interpolation.mode == "area"
    ):
        return False
    pairs = [*zip(map_size(x, stem), interpolation.size, strict=True)]
    if any(whole % part for whole, part in pairs):
        return False
    factors = [whole // part for whole, part in pairs]
    taps = [_find_taps(interpolation.mode, factor) for factor in factors]
    inside = all(first >= 0 for first, _ in taps)  # else it reads beyond the edge
    reads = math.prod(len(weights) for _, weights in taps)
    return inside and 2 * reads <= math.prod(factors)


def images_at_a_time(x: Tensor, stem: Stem, interpolation: Interpolation) -> int:
    """Returns how many images keep the cores busy, with maps that stay in the cache.

    The arguments are those of :func:`sampled_stem`.
    """
    channels = 4 * stem.conv1.out_channels  # of bilinear interpolation
    image_bytes = math.prod(interpolation.size) * channels * x.element_size()
    return max(1, _CACHE_BYTES // image_bytes)


def sampled_stem(x: Tensor, stem: Stem, interpolation: Interpolation) -> Tensor:
    """Computes the stem of a learned resizer and interpolates its output.

    Args:
        x (Tensor): Images of shape (N, C, H, W), for which :func:`can_sample` holds.
        stem (Stem): The stem.
        interpolation (Interpolation): Interpolation of the stem's output.

    Returns:
        Tensor: Map of shape (N, mid_channels, *interpolation.size).
    """
    conv1, conv2 = stem.conv1, stem.conv2
    stride = conv1.stride[0]
    padding: list[int] = []
    strides, weights = [], []
    for whole, part, pixels in zip(
        map_size(x, stem), interpolation.size, x.shape[2:], strict=True
    ):
        first, weight = _find_taps(interpolation.mode, whole // part)
        step = whole // part * stride
        kernel = conv1.kernel_size[0] + (len(weight) - 1) * stride
        before = PADDING - first * stride  # where it is negative, pixels are cut off
        after = (part - 1) * step + kernel - before - pixels
        padding[:0] = [before, after]  # torch begins with the columns
        strides.append(step)
        weights.append(weight)
    rows, columns = (len(weight) for weight in weights)
    shifted = [
        F.pad(
            conv1.weight,
            [stride * n for n in (j, columns - 1 - j, i, rows - 1 - i)],
        )
        for i in range(rows)
        for j in range(columns)
    ]
    bias = None if conv1.bias is None else conv1.bias.repeat(len(shifted))
    y = F.conv2d(F.pad(x, padding), torch.cat(shifted), bias, strides)
    y = act_in_place(stem.act1, y)
    batch, shape = len(x), (conv1.out_channels, *interpolation.size)
    y = F.conv2d(y.reshape(batch * len(shifted), *shape), conv2.weight, conv2.bias)
    y = act_in_place(stem.act2, y).reshape(batch, len(shifted), *shape)
    if len(shifted) == 1:
        y = y[:, 0]
    elif len(set(weights[0] + weights[1])) == 1:
        y = y.mean(1)
    else:
        outer = torch.outer(*(y.new_tensor(weight) for weight in weights))
        y = torch.einsum("p,npchw->nchw", outer.flatten(), y)
    return stem.norm(y)
