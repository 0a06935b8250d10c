"""Batch norms that are applied later than where they stand.

A batch norm is an affine map of each channel, with numbers from the statistics of its
input. Once these are known the map itself can wait, and be applied behind an
interpolation, to fewer pixels.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce

# Subclasses may do more than normalize.
_FORWARDS = (nn.BatchNorm2d.forward, nn.SyncBatchNorm.forward)


def can_defer(norm: nn.Module) -> bool:
    """Returns whether a norm layer is a batch norm, of one process or of all."""
    return type(norm).forward in _FORWARDS


def uses_batch_stats(norm: Any) -> bool:
    """Returns whether a batch norm normalizes by the statistics of its input."""
    return norm.training or norm.running_mean is None


def is_fixed(norm: Any, in_inference: bool = False) -> bool:
    """Returns whether a norm layer is none, or a batch norm of numbers of its own.

    Args:
        norm (nn.Module): The layer.
        in_inference (bool): Whether to tell how it will be in inference. Defaults to
            False: as it is.
    """
    if type(norm) is nn.Identity:
        return True
    if in_inference:
        return can_defer(norm) and norm.running_mean is not None
    return can_defer(norm) and not uses_batch_stats(norm)


def apply_deferred(
    norm: Any, y: Tensor, mean: Tensor | None, var: Tensor | None, count: int
) -> Tensor:
    """Does what a batch norm does in its forward pass, but to another map.

    Args:
        norm (nn.Module): For which :func:`can_defer` holds. Its running statistics are
            updated in training.
        y (Tensor): The map that is normalized, of shape (N, C, H, W).
        mean (Tensor, optional): Mean of the norm's own input, of shape (C,), if it uses
            the statistics of the batch; may have a gradient.
        var (Tensor, optional): The biased variance, likewise.
        count (int): Number of values that a channel of that input has.

    Returns:
        Tensor: Of the shape of ``y``.
    """
    if mean is None or var is None:
        mean, var = norm.running_mean, norm.running_var
    else:
        is_sync = isinstance(norm, nn.SyncBatchNorm) and dist.is_initialized()
        if is_sync and norm.training:
            mean, var, count = _sync_stats(mean, var, count, norm.process_group)
        if norm.training and norm.track_running_stats:
            _update_running_stats(norm, mean.detach(), var.detach(), count)
    weight, bias = norm.weight, norm.bias
    if weight is None:
        weight, bias = torch.ones_like(mean), torch.zeros_like(mean)
    # The statistics of maps in low precision are in float32.
    weight, bias = weight.to(mean.dtype), bias.to(mean.dtype)
    if mean.requires_grad:
        # torch's kernel that takes statistics has no gradient for them. They are put
        # into weight and bias, whose values stay the same.
        scale = weight * torch.rsqrt(var + norm.eps)
        bias = bias + (mean.detach() - mean) * scale
        weight = scale * torch.sqrt(var.detach() + norm.eps)
    return F.batch_norm(y, mean.detach(), var.detach(), weight, bias, eps=norm.eps)


def _update_running_stats(norm: Any, mean: Tensor, var: Tensor, count: int) -> None:
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


def wide_type(dtype: torch.dtype) -> torch.dtype:
    """The type that sums of values of a type are kept in."""
    return torch.promote_types(dtype, torch.float32)


class Stats(NamedTuple):
    """Mean and biased variance of the channels of a map, and their number of values."""

    mean: Tensor
    var: Tensor
    values: int


def get_stats(part: Tensor) -> Stats:
    """Returns the statistics of a part of a map, of shape (N, C, H, W)."""
    part = part.to(wide_type(part.dtype))
    mean, var = torch.batch_norm_update_stats(part, None, None, 0.0)
    return Stats(mean, var, part.numel() // part.shape[1])


def merge_stats(parts: Sequence[Stats]) -> tuple[Tensor, Tensor]:
    """Returns mean and biased variance of a map of several parts."""
    means, variances, counts = zip(*parts, strict=True)
    all_means = torch.stack(means)
    share = all_means.new_tensor(counts)
    share = (share / share.sum())[:, None]
    mean = (all_means * share).sum(0)
    var = torch.stack(variances) + (all_means - mean).square()
    return mean, (var * share).sum(0)


class StatsGradient:
    """Gradient of a map through its mean and variance: ``slope * map + offset``.

    Args:
        mean (Tensor): Mean of the map, of shape (C,).
        d_mean (Tensor): Gradient with respect to it.
        d_var (Tensor): Gradient with respect to the biased variance.
        count (int): Number of values that a channel of the map has.
    """

    def __init__(self, mean: Tensor, d_mean: Tensor, d_var: Tensor, count: int):
        slope = d_var * (2 / count)
        self.slope = slope[:, None, None]
        self.offset = (d_mean / count - mean * slope)[:, None, None]

    def add_to(self, d_map: Tensor, part: Tensor, rows: int) -> Tensor:
        """Returns the sum with the gradient of the first rows of a part of the map."""
        if rows < part.shape[2]:
            first = self.add_to(d_map[:, :, :rows], part[:, :, :rows], rows)
            return torch.cat([first, d_map[:, :, rows:]], 2)
        # The same small number is added everywhere: rounding it would add up.
        part = part.to(self.slope.dtype)
        total = torch.addcmul(self.offset, part, self.slope)
        return total.add_(d_map).to(d_map.dtype)
