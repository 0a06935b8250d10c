"""The gate to the fast paths: one decision for each call of a learned resizer."""

import os
from collections.abc import Callable
from enum import Enum, auto
from functools import partial
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from mmresizer.utils import InputError

from ..base_resizer import Interpolation
from ..checkpointing import maybe_checkpoint
from ..fuse import Fuse
from ..residual_block import ConvNorm, ResidualBlock
from .deferred_norm import is_fixed
from .packed_conv import conv2d_packed
from .pool import map_images
from .sampled_stem import can_sample, images_at_a_time, sampled_stem
from .tiled_stem import act_in_place, can_tile, images_in_cache, tiled_stem
from .torch_private import is_watched

if TYPE_CHECKING:
    from ..learned_resizer import LearnedResizer


class Path(Enum):
    """A way from an image to what the learned resizer adds to it.

    Attributes:
        PLAIN: The layers of the figure, one by one.
        IN_PLACE: The same, but behind the stem they overwrite maps that nobody holds,
            and the last convolution is packed. On a GPU the channels come last.
        SAMPLED: The stem at the positions that interpolation reads, where these are
            few; the rest as IN_PLACE or, in inference on a CPU, as FOLDED.
        TILED: The stem in tiles of rows, the rest as IN_PLACE.
        FOLDED: The same in inference on a CPU: norms are folded into convolutions, and
            each thread has images of its own.
    """

    PLAIN = auto()
    IN_PLACE = auto()
    SAMPLED = auto()
    TILED = auto()
    FOLDED = auto()


def choose_path(
    resizer: "LearnedResizer", x: Tensor, interpolation: Interpolation
) -> Path:
    """Chooses the path of a call of a learned resizer.

    ``MMRESIZER_FAST=0`` in the environment, which is read at each call, makes it PLAIN.

    Args:
        resizer (LearnedResizer): The resizer.
        x (Tensor): Images of shape (N, C, H, W).
        interpolation (Interpolation): To the output size.

    Raises:
        InputError: If MMRESIZER_FAST is neither 0 nor 1.
    """
    if is_watched(x, resizer.stem, resizer.blocks, resizer.fuse, resizer.out):
        return Path.PLAIN
    if len(x) == 0:  # asked an exporter, it would fix the number of images
        return Path.PLAIN
    switch = os.environ.get("MMRESIZER_FAST", "1")
    if switch not in ("0", "1"):
        raise InputError(f"MMRESIZER_FAST must be 0 or 1, but is {switch!r}")
    if switch == "0" or any(type(b) is not ResidualBlock for b in resizer.blocks):
        return Path.PLAIN
    if can_sample(x, resizer.stem, interpolation):
        return Path.SAMPLED
    on_cpu = x.device.type == "cpu"
    # On a GPU tiles have not been measured: there they only save memory.
    if not (on_cpu or resizer.with_cp) or not can_tile(x, resizer.stem):
        return Path.IN_PLACE
    return Path.FOLDED if on_cpu and _can_fold(resizer) else Path.TILED


def _can_fold(resizer: "LearnedResizer") -> bool:
    layers = [layer for b in resizer.blocks for layer in (b.layer1, b.layer2)]
    layers.append(resizer.fuse)
    return (
        not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and all(type(layer) in (ConvNorm, Fuse) for layer in layers)
        and all(type(layer.conv) is nn.Conv2d for layer in layers)
        and all(map(is_fixed, (resizer.stem.norm, *(layer.norm for layer in layers))))
    )


def run_path(
    path: Path, resizer: "LearnedResizer", x: Tensor, interpolation: Interpolation
) -> Tensor:
    """Runs a path that :func:`choose_path` chose, other than PLAIN.

    Args:
        path (Path): The path.
        resizer (LearnedResizer): The resizer.
        x (Tensor): Images of shape (N, C, H, W).
        interpolation (Interpolation): To the output size.

    Returns:
        Tensor: What is added to the interpolated images, of their shape.
    """
    stem, blocks, fuse = resizer.stem, resizer.blocks, resizer.fuse
    on_cpu = x.device.type == "cpu"
    if path is Path.FOLDED:
        rest = _in_place(resizer, _fold)
        return map_images(
            lambda x: rest(tiled_stem(x, stem, interpolation)),
            x,
            images_in_cache(x, stem),
        )
    if path is Path.SAMPLED and on_cpu and _can_fold(resizer):
        rest = _in_place(resizer, _fold)
        few = x.split(images_at_a_time(x, stem, interpolation))
        return torch.cat([rest(sampled_stem(y, stem, interpolation)) for y in few])
    if path is Path.TILED:
        features = tiled_stem(x, stem, interpolation)
    elif path is Path.SAMPLED:
        features = maybe_checkpoint(
            resizer.with_cp, lambda x: sampled_stem(x, stem, interpolation), x, stem
        )
    else:
        if x.is_cuda:  # docs/benchmarks: up to 3 times faster in training
            x = x.contiguous(memory_format=torch.channels_last)
        features = resizer.features(x, interpolation)
    if x.is_cuda:
        features = features.contiguous(memory_format=torch.channels_last)
    rest = _in_place(resizer, lambda layer: layer)
    return maybe_checkpoint(resizer.with_cp, rest, features, blocks, fuse)


def _in_place(
    resizer: "LearnedResizer",
    prepare: Callable[[ConvNorm], Callable[[Tensor], Tensor]],
) -> Callable[[Tensor], Tensor]:
    """Returns what runs behind the stem: a function of its interpolated output."""
    blocks = [(prepare(b.layer1), b.act, prepare(b.layer2)) for b in resizer.blocks]
    fuse = prepare(resizer.fuse)

    def rest(features: Tensor) -> Tensor:
        z = features
        for layer1, act, layer2 in blocks:
            z = layer2(act_in_place(act, layer1(z))).add_(z)
        return conv2d_packed(fuse(z).add_(features), resizer.out)

    return rest


def _fold(layer: ConvNorm) -> Callable[[Tensor], Tensor]:
    """Returns a function that does the same in inference, by one convolution."""
    norm, weight, bias = layer.norm, layer.conv.weight, layer.conv.bias
    if not isinstance(norm, nn.Identity):
        stats = norm.running_mean, norm.running_var, norm.eps
        affine = norm.weight, norm.bias
        weight, bias = fuse_conv_bn_weights(weight, bias, *stats, *affine)
    return partial(F.conv2d, weight=weight, bias=bias, padding=1)
