"""The stem of the learned resizer, in tiles of rows that fit the CPU's cache.

The stem makes maps of 16 channels at the resolution of the image, of which
interpolation then keeps a part. On the whole image their way through the memory takes
longer than the arithmetic, and training holds several of them until the backward pass.
Here some rows at a time are computed, interpolated and forgotten; the backward pass
computes them again.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ..base_resizer import Interpolation
from ..stem import PADDING, Stem
from .deferred_norm import (
    StatsGradient,
    apply_deferred,
    can_defer,
    get_stats,
    is_fixed,
    merge_stats,
    uses_batch_stats,
)
from .pool import make_leaves, map_parts, sum_parts
from .row_tiles import RowTile, plan_tiles

# For the map of a tile. A core has 1 to 2 MiB of cache of its own, where the input and
# the output of a layer should stay.
_CPU_TILE_BYTES = 7 * 2**19
# Here tiles save memory, not time: they have to keep the GPU busy.
_CUDA_TILE_BYTES = 2**28

# Below this the layers of the figure are as fast: the whole map is in the cache.
_MIN_MAP_BYTES = 2**22
# Below this computing the map again takes longer than keeping it.
_MIN_BATCH_STATS_BYTES = 2**24

# Elementwise, deterministic and without weights: they give the same result when a tile
# is computed for a second time.
_ACTIVATIONS = (
    nn.CELU,
    nn.ELU,
    nn.GELU,
    nn.Hardsigmoid,
    nn.Hardswish,
    nn.Identity,
    nn.LeakyReLU,
    nn.Mish,
    nn.ReLU,
    nn.ReLU6,
    nn.SELU,
    nn.SiLU,
    nn.Sigmoid,
    nn.Softplus,
    nn.Tanh,
)


def autocast(tensors: Sequence[Any]) -> list[Any]:
    """Casts the arguments of a convolution as autocast would."""
    device = tensors[0].device.type
    if not torch.is_autocast_enabled(device):
        return list(tensors)
    dtype = torch.get_autocast_dtype(device)
    return [
        t if t is None or t.dtype == torch.float64 else t.to(dtype) for t in tensors
    ]


def is_elementwise(act: nn.Module) -> bool:
    """Returns whether an activation maps each value alone, always in the same way."""
    return type(act) in _ACTIVATIONS


def is_conv(conv: nn.Module, kernel: int, padding: int = 0, stride: int = 1) -> bool:
    """Returns whether a layer is a convolution of torch's with just these settings."""
    return type(conv) is nn.Conv2d and (
        conv.kernel_size,
        conv.padding,
        conv.stride,
        conv.dilation,
        conv.groups,
        conv.padding_mode,
    ) == ((kernel,) * 2, (padding,) * 2, (stride,) * 2, (1, 1), 1, "zeros")


def is_known(stem: Stem) -> bool:
    """Returns whether a stem has only layers that the faster ways can compute."""
    return (
        type(stem) is Stem
        and is_conv(stem.conv1, 6 + stem.stride, PADDING, stem.stride)
        and is_conv(stem.conv2, 1)
        and is_elementwise(stem.act1)
        and is_elementwise(stem.act2)
        and (can_defer(stem.norm) or type(stem.norm) is nn.Identity)
    )


def stem_weights(stem: Stem) -> list[Tensor | None]:
    """Returns the weights and biases of the convolutions of a stem."""
    return [stem.conv1.weight, stem.conv1.bias, stem.conv2.weight, stem.conv2.bias]


def can_tile(x: Tensor, stem: Stem) -> bool:
    """Returns whether :func:`tiled_stem` covers a stem and its input.

    Args:
        x (Tensor): Images of shape (N, C, H, W).
        stem (Stem): The stem.
    """
    if not is_known(stem):
        return False
    size = map_size(x.shape[2:], stem)
    least = _MIN_MAP_BYTES if is_fixed(stem.norm) else _MIN_BATCH_STATS_BYTES
    return (
        x.device.type in ("cpu", "cuda")
        and x.is_floating_point()
        and x.ndim == 4
        and min(x.shape) > 0
        and min(size) > 0
        and len(x) * math.prod(size) > 1  # a batch norm refuses one value
        and len(x) * _map_bytes(x, stem) >= least
    )


def normed_stem(x: Tensor, stem: Stem, interpolation: Interpolation) -> Tensor:
    """Computes the stem of a learned resizer and interpolates its output.

    The norm layer comes last: it commutes with the interpolation, whose weights sum to
    one. Its statistics are those of the whole map. The result is differentiable once.

    Args:
        x (Tensor): Images of shape (N, C, H, W), for which :func:`can_tile` holds.
        stem (Stem): Its running statistics are updated.
        interpolation (Interpolation): Interpolation of the stem's output.

    Returns:
        Tensor: Map of shape (N, mid_channels, *interpolation.size), in channels_last
        layout.
    """
    norm = stem.norm
    if stem.norm_after_resize or isinstance(norm, nn.Identity):
        return norm(tiled_stem(x, *stem_weights(stem), stem=stem, to=interpolation))
    tensors = autocast([x, *stem_weights(stem)])
    with torch.autocast(x.device.type, enabled=False):
        y, mean, var = _TiledStem.apply(
            *tensors, stem, interpolation, uses_batch_stats(norm)
        )
    count = len(x) * math.prod(map_size(x.shape[2:], stem))
    return apply_deferred(norm, y, mean, var, count)


def tiled_stem(x: Tensor, *weights: Any, stem: Stem, to: Interpolation) -> Tensor:
    """Does the same up to the norm layer, with given weights.

    Args:
        x (Tensor): See :func:`normed_stem`.
        weights (Tensor, optional): As of :func:`stem_weights`.
        stem (Stem): The stem.
        to (Interpolation): Interpolation of the stem's output.
    """
    tensors = autocast([x, *weights])
    with torch.autocast(x.device.type, enabled=False):
        return _TiledStem.apply(*tensors, stem, to, False)[0]


class _TiledStem(torch.autograd.Function):
    """The stem up to its norm layer, interpolated, with mean and variance before."""

    @staticmethod
    def forward(x, *args):
        *weights, stem, interpolation, with_stats = args
        height, width = interpolation.size
        features = x.new_empty(len(x), height, width, len(weights[0]))

        @torch.no_grad()
        def run(part):
            images, tile = part
            window = _cut(x, images, tile)
            maps = _compute(tile.select(window), weights, stem)
            features[images, tile.rows] = tile.interpolate(maps, interpolation)
            if with_stats and tile.owned:
                return get_stats(maps[:, :, : tile.owned])

        parts = _plan(x, stem, interpolation, not with_stats)
        stats = map_parts(run, parts, x.device)
        mean, var = merge_stats([s for s in stats if s]) if with_stats else (None, None)
        return features.permute(0, 3, 1, 2), mean, var

    @staticmethod
    def setup_context(ctx, inputs, output):
        *tensors, ctx.stem, ctx.interpolation, ctx.with_stats = inputs
        ctx.save_for_backward(*tensors, output[1])

    @staticmethod
    @once_differentiable
    def backward(ctx, d_features, d_mean, d_var):
        x, *weights, mean = ctx.saved_tensors
        stem, interpolation = ctx.stem, ctx.interpolation
        needs_x, *needed = ctx.needs_input_grad[:5]
        weights, leaves = make_leaves(weights, needed)
        stats = None
        if ctx.with_stats:
            count = len(x) * math.prod(map_size(x.shape[2:], stem))
            stats = StatsGradient(mean, d_mean, d_var, count)
        d_features = d_features.permute(0, 2, 3, 1)

        def run(part):
            images, tile = part
            window = _cut(x, images, tile).requires_grad_(needs_x)
            with torch.enable_grad():
                maps = _compute(tile.select(window), weights, stem)
                seen = maps.detach().requires_grad_()
                y = tile.interpolate(seen, interpolation)
            (d_maps,) = torch.autograd.grad(y, seen, d_features[images, tile.rows])
            if stats:
                d_maps = stats.add_to(d_maps, seen.detach(), tile.owned)
            inputs = [*leaves, window] if needs_x else leaves
            return torch.autograd.grad(maps, inputs, d_maps)

        parts = _plan(x, stem, interpolation, not ctx.with_stats)
        gradients = map_parts(run, parts, x.device)
        columns = [*zip(*gradients, strict=True)]
        d_x = None
        if needs_x:
            d_x = torch.zeros_like(x)
            for (images, tile), d_window in zip(parts, columns.pop(), strict=True):
                _add_rows(d_x[images], tile.window, d_window)
        return d_x, *sum_parts(columns, needed), None, None, None


def _compute(x: Tensor, weights: Sequence[Any], stem: Stem) -> Tensor:
    """The map of a part of an image, whose rows are padded already."""
    weight1, bias1, weight2, bias2 = weights
    y = F.conv2d(x, weight1, bias1, stem.conv1.stride, (0, PADDING))
    y = act_in_place(stem.act1, y)
    if not torch.is_grad_enabled():
        return act_in_place(stem.act2, F.conv2d(y, weight2, bias2))
    # The gradient of a product takes half the time of a convolution's.
    y = F.linear(y.permute(0, 2, 3, 1), weight2[:, :, 0, 0], bias2)
    return act_in_place(stem.act2, y).permute(0, 3, 1, 2)


def act_in_place(act: nn.Module, y: Tensor) -> Tensor:
    """Calls an activation on a map that nobody else holds."""
    # Below zero the gradient cannot be told from the output.
    if type(act) is nn.LeakyReLU and act.negative_slope >= 0:
        return F.leaky_relu_(y, act.negative_slope)
    if type(act) is nn.ReLU:
        return F.relu_(y)
    return act(y)


def map_size(input_size: Sequence[int], stem: Stem) -> tuple[int, int]:
    """Height and width of the map of an image with a height and a width."""
    conv = stem.conv1
    height, width = (
        (size + 2 * PADDING - conv.kernel_size[0]) // conv.stride[0] + 1
        for size in input_size
    )
    return height, width


def _map_bytes(x: Tensor, stem: Stem) -> int:
    """Bytes of the map of an image."""
    size = map_size(x.shape[2:], stem)
    return math.prod(size) * stem.conv1.out_channels * x.element_size()


def images_in_cache(x: Tensor, stem: Stem) -> int:
    """Returns how many images have maps that a core keeps in its cache, at least 1."""
    return max(1, _CPU_TILE_BYTES // _map_bytes(x, stem))


def _plan(
    x: Tensor, stem: Stem, interpolation: Interpolation, may_skip: bool
) -> list[tuple[slice, RowTile]]:
    """Returns which images and which tile of theirs make a part."""
    conv = stem.conv1
    map_height, map_width = map_size(x.shape[2:], stem)
    tile_bytes = _CUDA_TILE_BYTES if x.is_cuda else _CPU_TILE_BYTES
    rows = max(1, tile_bytes * map_height // _map_bytes(x, stem))
    tiles = plan_tiles(
        (map_height, map_width),
        interpolation,
        min(rows, map_height),
        conv.kernel_size[0],
        conv.stride[0],
        may_skip,
        x.dtype,
        x.device,
    )
    images = [*range(0, len(x), max(1, rows // map_height)), len(x)]
    return [(slice(*pair), tile) for pair in pairwise(images) for tile in tiles]


def _cut(x: Tensor, images: slice, tile: RowTile) -> Tensor:
    """Returns the window of a tile: rows of some images, padded, in channels_last."""
    start, stop = (row - PADDING for row in (tile.window.start, tile.window.stop))
    rows = x.detach()[images, :, max(start, 0) : min(stop, x.shape[2])]
    rows = rows.contiguous(memory_format=torch.channels_last)
    return F.pad(rows, (0, 0, max(-start, 0), max(stop - x.shape[2], 0)))


def _add_rows(d_x: Tensor, window: slice, d_window: Tensor) -> None:
    """Adds the gradient of a window of the padded images to that of the images."""
    pad, height = PADDING, d_x.shape[2]
    start, stop = max(window.start - pad, 0), min(window.stop - pad, height)
    offset = start + pad - window.start
    d_x[:, :, start:stop] += d_window[:, :, offset : offset + stop - start]
