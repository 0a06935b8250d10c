"""The stem of the learned resizer, in tiles of rows that fit the CPU's cache.

The stem makes maps of 16 channels at the resolution of the image, of which
interpolation then keeps a part. On the whole image their way through the memory takes
longer than the arithmetic, and training holds several of them until the backward pass.
Here some rows at a time are computed, interpolated and forgotten; the backward pass
computes them again.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ..base_resizer import Interpolation
from ..stem import PADDING, Stem
from .deferred_norm import (
    Stats,
    StatsGradient,
    apply_deferred,
    can_defer,
    uses_batch_stats,
    wide,
)
from .pool import count_cores
from .row_tiles import RowTile, TransposedColumns, plan_tiles

# For the map of a tile. A core has 1 to 2 MiB of cache of its own, where the input and
# the output of a layer should stay.
_CPU_TILE_BYTES_PER_THREAD = 3 * 2**18
# Here tiles save memory, not time: they have to keep the GPU busy.
_CUDA_TILE_BYTES = 2**28

# Below this the layers of the figure are as fast: the whole map is in the cache.
_MIN_MAP_BYTES = 2**22

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


def autocast(tensors: Sequence[Any]) -> list[Tensor]:
    """Casts the arguments of a convolution as autocast would."""
    device = tensors[0].device.type
    if not torch.is_autocast_enabled(device):
        return list(tensors)
    dtype = torch.get_autocast_dtype(device)
    return [t if t.dtype == torch.float64 else t.to(dtype) for t in tensors]


def is_known(stem: Stem) -> bool:
    """Returns whether a stem has only layers that the faster ways can compute."""
    return (
        type(stem) is Stem
        and type(stem.conv1) is type(stem.conv2) is nn.Conv2d
        and type(stem.act1) in _ACTIVATIONS
        and type(stem.act2) in _ACTIVATIONS
        and (can_defer(stem.norm) or type(stem.norm) is nn.Identity)
    )


def can_tile(x: Tensor, stem: Stem) -> bool:
    """Returns whether :func:`tiled_stem` covers a stem and its input.

    Args:
        x (Tensor): Images of shape (N, C, H, W).
        stem (Stem): The stem.
    """
    return (
        is_known(stem)
        and x.device.type in ("cpu", "cuda")
        and x.is_floating_point()
        and x.ndim == 4
        and min(x.shape) > 0
        and min(map_size(x, stem)) > 0
        and len(x) * math.prod(map_size(x, stem)) > 1  # a batch norm refuses one value
        and len(x) * _map_bytes(x, stem) >= _MIN_MAP_BYTES
    )


def tiled_stem(x: Tensor, stem: Stem, interpolation: Interpolation) -> Tensor:
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
    has_norm = not isinstance(norm, nn.Identity)
    with_stats = has_norm and uses_batch_stats(norm)
    conv1, conv2 = stem.conv1, stem.conv2
    tensors = autocast([x, conv1.weight, conv1.bias, conv2.weight, conv2.bias])
    with torch.autocast(x.device.type, enabled=False):
        y, mean, var = _TiledStem.apply(*tensors, stem, interpolation, with_stats)
    count = len(x) * math.prod(map_size(x, stem))
    return apply_deferred(norm, y, mean, var, count) if has_norm else y


class _TiledStem(torch.autograd.Function):
    """The stem up to its norm layer, interpolated, with mean and variance before."""

    @staticmethod
    def forward(x, *args):
        *weights, stem, interpolation, with_stats = args
        height, width = interpolation.size
        features = x.new_empty(len(x), height, width, len(weights[0]))
        stats = Stats()
        for images, tile, window in _windows(x, stem, interpolation, not with_stats):
            maps = _compute(tile.select(window), weights, stem)
            features[images, tile.rows] = tile.interpolate(maps, interpolation)
            if with_stats and tile.owned:
                stats.add(maps[:, :, : tile.owned])
        mean, var = stats.get() if with_stats else (None, None)
        return features.permute(0, 3, 1, 2), mean, var

    @staticmethod
    def setup_context(ctx, inputs, output):
        *tensors, ctx.stem, ctx.interpolation, ctx.with_stats = inputs
        ctx.save_for_backward(*tensors, output[1])

    @staticmethod
    @once_differentiable
    def backward(ctx, d_features, d_mean, d_var):
        with torch.autocast(d_features.device.type, enabled=False):
            return _TiledStem._backward(ctx, d_features, d_mean, d_var)

    @staticmethod
    def _backward(ctx, d_features, d_mean, d_var):
        x, *weights, mean = ctx.saved_tensors
        weights = [w.detach() for w in weights]
        for weight, needed in zip(weights, ctx.needs_input_grad[1:5], strict=True):
            weight.requires_grad_(needed)
        leaves = [w for w in weights if w.requires_grad]
        d_leaves = [torch.zeros_like(w, dtype=wide(w.dtype)) for w in leaves]
        d_x = torch.zeros_like(x) if ctx.needs_input_grad[0] else None
        transposed = TransposedColumns(ctx.interpolation)
        size = map_size(x, ctx.stem)
        if ctx.with_stats:
            count = len(x) * math.prod(size)
            stats = StatsGradient(mean, d_mean, d_var, count)
        d_features = d_features.permute(0, 2, 3, 1)
        for images, tile, window in _windows(
            x, ctx.stem, ctx.interpolation, not ctx.with_stats
        ):
            window.requires_grad_(d_x is not None)
            with torch.enable_grad():
                maps = _compute(tile.select(window), weights, ctx.stem)
            d_maps = tile.transpose(d_features[images, tile.rows], size[1], transposed)
            if ctx.with_stats:
                d_maps = stats.add_to(d_maps, maps.detach(), tile.owned)
            inputs = leaves if d_x is None else [*leaves, window]
            gradients = torch.autograd.grad(maps, inputs, d_maps)
            for total, gradient in zip(d_leaves, gradients, strict=False):
                total += gradient
            if d_x is not None:
                _add_rows(d_x[images], tile.window, gradients[-1])
        found = iter(d_leaves)
        d_weights = [next(found).to(w) if w.requires_grad else None for w in weights]
        return d_x, *d_weights, None, None, None


def _compute(x: Tensor, weights: Sequence[Tensor], stem: Stem) -> Tensor:
    """The map of a part of an image, whose rows are padded already."""
    weight1, bias1, weight2, bias2 = weights
    y = F.conv2d(x, weight1, bias1, stem.conv1.stride, (0, PADDING))
    y = act_in_place(stem.act1, y)
    if torch.is_grad_enabled():
        y = F.conv2d(y, weight2, bias2)
    else:  # The product is faster than the 1x1 convolution, its gradient slower.
        y = F.linear(y.permute(0, 2, 3, 1), weight2[:, :, 0, 0], bias2)
        y = y.permute(0, 3, 1, 2)
    return act_in_place(stem.act2, y)


def act_in_place(act: nn.Module, y: Tensor) -> Tensor:
    """Calls an activation on a map that nobody else holds."""
    # Below zero the gradient cannot be told from the output.
    if type(act) is nn.LeakyReLU and act.negative_slope >= 0:
        return F.leaky_relu_(y, act.negative_slope)
    if type(act) is nn.ReLU:
        return F.relu_(y)
    return act(y)


def map_size(x: Tensor, stem: Stem) -> tuple[int, int]:
    """Height and width of the map."""
    conv = stem.conv1
    height, width = (
        (size + 2 * PADDING - conv.kernel_size[0]) // conv.stride[0] + 1
        for size in x.shape[2:]
    )
    return height, width


def _map_bytes(x: Tensor, stem: Stem) -> int:
    """Bytes of the map of an image."""
    return math.prod(map_size(x, stem)) * stem.conv1.out_channels * x.element_size()


def _tile_bytes(x: Tensor) -> int:
    """Bytes that the map of a tile may have, about."""
    if x.is_cuda:
        return _CUDA_TILE_BYTES
    return _CPU_TILE_BYTES_PER_THREAD * count_cores()


def images_in_cache(x: Tensor, stem: Stem) -> int:
    """Returns how many images have maps that a core keeps in its cache, at least 1."""
    return max(1, _CPU_TILE_BYTES_PER_THREAD // _map_bytes(x, stem))


def _windows(
    x: Tensor, stem: Stem, interpolation: Interpolation, may_skip: bool
) -> Iterator[tuple[slice, RowTile, Tensor]]:
    """Yields which images, which tile of theirs, and its part of the padded images."""
    conv = stem.conv1
    pad = PADDING
    batch, channels, height, width = x.shape
    map_height, _ = map_size(x, stem)
    rows = max(1, _tile_bytes(x) * map_height // _map_bytes(x, stem))
    tiles = plan_tiles(
        map_height,
        interpolation,
        min(rows, map_height),
        conv.kernel_size[0],
        conv.stride[0],
        may_skip,
        x.dtype,
        x.device,
    )
    images_at_once = max(1, rows // map_height)
    for first in range(0, batch, images_at_once):
        images = slice(first, min(first + images_at_once, batch))
        shape = (images.stop - first, height + 2 * pad, width, channels)
        padded = x.new_empty(shape).permute(0, 3, 1, 2)
        padded[:, :, :pad] = 0
        padded[:, :, pad : pad + height] = x.detach()[images]
        padded[:, :, pad + height :] = 0
        for tile in tiles:
            yield images, tile, padded[:, :, tile.window]


def _add_rows(d_x: Tensor, window: slice, d_window: Tensor) -> None:
    """Adds the gradient of a window of the padded images to that of the images."""
    pad, height = PADDING, d_x.shape[2]
    start, stop = max(window.start - pad, 0), min(window.stop - pad, height)
    offset = start + pad - window.start
    d_x[:, :, start:stop] += d_window[:, :, offset : offset + stop - start]
