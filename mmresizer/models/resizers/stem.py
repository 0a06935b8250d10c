"""The stem of the learned resizer, in tiles of rows that fit the CPU's cache.

The stem makes maps of 16 channels at the resolution of the image, of which
interpolation then keeps a part. On the whole image their way through the memory takes
longer than the arithmetic, and training holds several of them until the backward pass.
Here some rows at a time are computed, interpolated and forgotten; the backward pass
computes them again.
"""

import math
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F  # noqa: N812
from mmcv.cnn import build_activation_layer
from mmpretrain.models.utils import build_norm_layer
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.distributed.nn.functional import all_reduce
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

from .base_resizer import Interpolation
from .row_tiles import RowTile, TransposedColumns, plan_tiles

# For the map of a tile. A core has 1 to 2 MiB of cache of its own, where the input and
# the output of a layer should stay.
_CPU_TILE_BYTES_PER_THREAD = 2**19
# Here tiles save memory, not time: they have to keep the GPU busy.
_CUDA_TILE_BYTES = 2**28

# Of the image, on each side.
_PADDING = 3

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
# Subclasses may do more than normalize.
_NORM_FORWARDS = (
    nn.BatchNorm2d.forward,
    nn.SyncBatchNorm.forward,
    nn.Identity.forward,
)


def build_activation(act_cfg: dict) -> nn.Module:
    """Builds an activation that works in place where the layer can."""
    act = build_activation_layer(act_cfg)
    if hasattr(act, "inplace"):
        act.inplace = act_cfg.get("inplace", True)
    return act


class Stem(nn.Sequential):
    """The part of the learned resizer that sees the image: 7x7 act 1x1 act norm.

    Args:
        in_channels (int): Channels of the image.
        channels (int): Channels of the other maps.
        stride (int): Stride s; the first kernel is (6 + s) x (6 + s), so that it is
            centred on s x s pixels.
        norm_cfg (dict, optional): Norm layer.
        act_cfg (dict): Activation layers.
    """

    conv1: nn.Conv2d
    act1: nn.Module
    conv2: nn.Conv2d
    act2: nn.Module
    norm: Any

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int,
        norm_cfg: dict | None,
        act_cfg: dict,
    ):
        norm = build_norm_layer(norm_cfg, channels) if norm_cfg else nn.Identity()
        super().__init__(
            OrderedDict(
                conv1=nn.Conv2d(in_channels, channels, 6 + stride, stride, _PADDING),
                act1=build_activation(act_cfg),
                conv2=nn.Conv2d(channels, channels, 1),
                act2=build_activation(act_cfg),
                norm=norm,
            )
        )


def is_plain_eager(x: Tensor) -> bool:
    """Returns whether a module that gets ``x`` is just being run.

    Compilers, exporters, FLOP counters and transforms of :mod:`torch.func` are shown
    the layers of the figure instead: they fuse, write down or count them.
    """
    return (
        type(x) is Tensor
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
        and not torch.onnx.is_in_onnx_export()
        and not is_in_torch_dispatch_mode()
        and not torch._C._are_functorch_transforms_active()
    )


def has_hooks(*modules: nn.Module) -> bool:
    """Returns whether somebody waits for the outputs of layers inside modules."""
    return any(
        layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks
        for module in modules
        for layer in module.modules()
    )


def can_tile(x: Tensor, stem: Stem) -> bool:
    """Returns whether :func:`tiled_stem` and :func:`norm_interpolated` apply.

    Args:
        x (Tensor): Images of shape (N, C, H, W).
        stem (Stem): The stem.
    """
    return (
        is_plain_eager(x)
        and x.is_floating_point()
        and x.numel() > x.shape[1]  # a batch norm refuses a single value
        and min(_map_size(x, stem)) > 0
        and type(stem.act1) in _ACTIVATIONS
        and type(stem.act2) in _ACTIVATIONS
        and type(stem.norm).forward in _NORM_FORWARDS
        and not has_hooks(stem)
    )


def tiled_stem(x: Tensor, stem: Stem, interpolation: Interpolation) -> Tensor:
    """Computes the stem of a learned resizer and interpolates its output.

    The norm layer comes after the interpolation, with which it commutes: the weights of
    an interpolation sum to one. Its statistics are those of the whole map. The result
    is differentiable once.

    Args:
        x (Tensor): Images of shape (N, C, H, W), for which :func:`can_tile` holds.
        stem (Stem): Its running statistics are updated.
        interpolation (Interpolation): Interpolation of the stem's output.

    Returns:
        Tensor: Map of shape (N, mid_channels, *interpolation.size), in channels_last
        layout.
    """
    norm, device = stem.norm, x.device.type
    uses_batch = not isinstance(norm, nn.Identity) and (
        norm.training or norm.running_mean is None
    )
    conv1, conv2 = stem.conv1, stem.conv2
    tensors: list[Any] = [x, conv1.weight, conv1.bias, conv2.weight, conv2.bias]
    if torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
        tensors = [t if t.dtype == torch.float64 else t.to(dtype) for t in tensors]
    with torch.autocast(device, enabled=False):
        y, mean, var = _TiledStem.apply(*tensors, stem, interpolation, uses_batch)
    if isinstance(norm, nn.Identity):
        return y
    if not uses_batch:
        return _normalize(y, norm, norm.running_mean, norm.running_var)
    count = len(x) * math.prod(_map_size(x, stem))
    if isinstance(norm, nn.SyncBatchNorm) and dist.is_initialized():
        mean, var, count = _sync_stats(mean, var, count, norm.process_group)
    if norm.training and norm.track_running_stats:
        _update_running_stats(norm, mean.detach(), var.detach(), count)
    return _normalize(y, norm, mean, var)


def _normalize(y: Tensor, norm: Any, mean: Tensor, var: Tensor) -> Tensor:
    """The affine map of a batch norm, whose statistics may need gradients."""
    if norm.affine:
        weight, bias = norm.weight, norm.bias
    else:
        weight, bias = torch.ones_like(mean), torch.zeros_like(mean)
    if mean.requires_grad:
        # torch's fused kernel has no gradient for the statistics. They are put into
        # weight and bias, whose values stay the same.
        scale = weight * torch.rsqrt(var + norm.eps)
        bias = bias + (mean.detach() - mean) * scale
        weight = scale * torch.sqrt(var.detach() + norm.eps)
    return F.batch_norm(y, mean.detach(), var.detach(), weight, bias, eps=norm.eps)


def _update_running_stats(norm: Any, mean: Tensor, var: Tensor, count: int) -> None:
    """What a batch norm does with the statistics of a batch."""
    norm.num_batches_tracked += 1
    momentum = norm.momentum
    if momentum is None:
        momentum = 1 / norm.num_batches_tracked.item()
    unbiased = var * (count / (count - 1))
    norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), momentum)
    norm.running_var.lerp_(unbiased.to(norm.running_var.dtype), momentum)


def _sync_stats(
    mean: Tensor, var: Tensor, count: int, group: dist.ProcessGroup | None
) -> tuple[Tensor, Tensor, int]:
    """Merges the statistics of all processes."""
    if dist.get_world_size(group) == 1:
        return mean, var, count
    total = mean.new_tensor(float(count), dtype=torch.float64)
    dist.all_reduce(total, group=group)
    share = count / float(total)
    all_mean = all_reduce(mean * share, group=group)
    all_var = all_reduce((var + (mean - all_mean).square()) * share, group=group)
    return all_mean, all_var, int(total)


class _TiledStem(torch.autograd.Function):
    """The stem up to its norm layer, interpolated, with mean and variance before."""

    @staticmethod
    def forward(x, *args):
        *weights, stem, interpolation, with_stats = args
        height, width = interpolation.size
        features = x.new_empty(len(x), height, width, len(weights[0]))
        stats = _Stats()
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
        x, *weights, mean = ctx.saved_tensors
        weights = [w.detach() for w in weights]
        for weight, needed in zip(weights, ctx.needs_input_grad[1:5], strict=True):
            weight.requires_grad_(needed)
        leaves = [w for w in weights if w.requires_grad]
        d_leaves = [torch.zeros_like(w, dtype=_wide(w.dtype)) for w in leaves]
        d_x = torch.zeros_like(x) if ctx.needs_input_grad[0] else None
        transposed = TransposedColumns(ctx.interpolation)
        size = _map_size(x, ctx.stem)
        if ctx.with_stats:
            # d_map = slope * map + offset
            slope = d_var * (2 / (len(x) * math.prod(size)))
            offset = d_mean / (len(x) * math.prod(size)) - mean * slope
            slope, offset = (v[:, None, None].to(x.dtype) for v in (slope, offset))
        d_features = d_features.permute(0, 2, 3, 1)
        for images, tile, window in _windows(
            x, ctx.stem, ctx.interpolation, not ctx.with_stats
        ):
            window.requires_grad_(d_x is not None)
            with torch.enable_grad():
                maps = _compute(tile.select(window), weights, ctx.stem)
            d_maps = tile.transpose(d_features[images, tile.rows], size[1], transposed)
            if ctx.with_stats:
                own = maps.detach()[:, :, : tile.owned]
                d_maps[:, :, : tile.owned].addcmul_(own, slope).add_(offset)
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
    y = stem.act1(F.conv2d(x, weight1, bias1, stem.conv1.stride, (0, _PADDING)))
    return stem.act2(F.conv2d(y, weight2, bias2))


def _map_size(x: Tensor, stem: Stem) -> tuple[int, int]:
    """Height and width of the map."""
    conv = stem.conv1
    height, width = (
        (size + 2 * _PADDING - conv.kernel_size[0]) // conv.stride[0] + 1
        for size in x.shape[2:]
    )
    return height, width


def _windows(
    x: Tensor, stem: Stem, interpolation: Interpolation, may_skip: bool
) -> Iterator[tuple[slice, RowTile, Tensor]]:
    """Yields which images, which tile of theirs, and its part of the padded images."""
    conv = stem.conv1
    pad = _PADDING
    batch, channels, height, width = x.shape
    budget = (
        _CUDA_TILE_BYTES
        if x.is_cuda
        else _CPU_TILE_BYTES_PER_THREAD * torch.get_num_threads()
    )
    map_height, map_width = _map_size(x, stem)
    rows = max(1, budget // (map_width * conv.out_channels * x.element_size()))
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
    pad, height = _PADDING, d_x.shape[2]
    start, stop = max(window.start - pad, 0), min(window.stop - pad, height)
    offset = start + pad - window.start
    d_x[:, :, start:stop] += d_window[:, :, offset : offset + stop - start]


def _wide(dtype: torch.dtype) -> torch.dtype:
    """The type that sums of values of a type are kept in."""
    return torch.promote_types(dtype, torch.float32)


class _Stats:
    """Mean and variance of the channels of a map that comes in parts."""

    def __init__(self) -> None:
        self.means: list[Tensor] = []
        self.variances: list[Tensor] = []
        self.counts: list[int] = []

    def add(self, part: Tensor) -> None:
        """Adds a part, of shape (N, C, H, W)."""
        part = part.to(_wide(part.dtype))
        mean, var = torch.batch_norm_update_stats(part, None, None, 0.0)
        self.means.append(mean)
        self.variances.append(var)
        self.counts.append(part.numel() // part.shape[1])

    def get(self) -> tuple[Tensor, Tensor]:
        """Returns mean and biased variance, each of shape (C,)."""
        means = torch.stack(self.means)
        counts = means.new_tensor(self.counts)
        share = (counts / counts.sum())[:, None]
        mean = (means * share).sum(0)
        var = torch.stack(self.variances) + (means - mean).square()
        return mean, (var * share).sum(0)
