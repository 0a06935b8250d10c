"""The gate to the fast paths: one decision for each call of a learned resizer."""

import os
from enum import Enum, auto
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mmresizer.utils import InputError

from ..base_resizer import Interpolation
from ..checkpointing import maybe_checkpoint
from ..fuse import Fuse
from ..residual_block import ConvNorm, ResidualBlock
from . import sampled_stem as sampled
from . import tiled_stem as tiled
from .folded import call_folded, can_fold, conv_norms
from .packed_conv import conv2d_packed
from .pool import map_images
from .torch_private import has_hooks, is_exporting, is_watched

if TYPE_CHECKING:
    from ..learned_resizer import LearnedResizer


class Path(Enum):
    """A way from an image to what the learned resizer adds to it.

    Attributes:
        PLAIN: The layers of the figure, one by one.
        SAMPLED_GRAPH: The stem as SAMPLED, in plain operators for a compiler; the rest
            as PLAIN.
        IN_PLACE: The same, but behind the stem they overwrite maps that nobody holds,
            and the last convolution is packed. On a GPU the channels come last.
        SAMPLED: The stem at the positions that interpolation reads, where these are
            few; the rest as IN_PLACE.
        TILED: The stem in tiles of rows, the rest as IN_PLACE.
        SAMPLED_FOLDED: The stem as SAMPLED; norms of fixed numbers are folded into
            convolutions, and each thread of a CPU has images of its own.
        TILED_FOLDED: The same with the stem as TILED.
    """

    PLAIN = auto()
    SAMPLED_GRAPH = auto()
    IN_PLACE = auto()
    SAMPLED = auto()
    TILED = auto()
    SAMPLED_FOLDED = auto()
    TILED_FOLDED = auto()


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
    switch = os.environ.get("MMRESIZER_FAST", "1")
    if switch not in ("0", "1"):
        raise InputError(f"MMRESIZER_FAST must be 0 or 1, but is {switch!r}")
    if switch == "0":
        return Path.PLAIN
    if torch.compiler.is_compiling():
        stem = resizer.stem
        # An exported program shall take images of other sizes.
        is_sampled = (
            not is_exporting()
            and not has_hooks(stem)
            and sampled.can_sample(stem, x.shape[2:], interpolation)
        )
        return Path.SAMPLED_GRAPH if is_sampled else Path.PLAIN
    if is_watched(x, resizer.stem, resizer.blocks, resizer.fuse, resizer.out):
        return Path.PLAIN
    if len(x) == 0:  # asked an exporter, it would fix the number of images
        return Path.PLAIN
    if not _is_as_built(resizer):
        return Path.PLAIN
    if torch.is_inference_mode_enabled() and torch.is_grad_enabled():
        return Path.PLAIN  # nothing can be saved for a backward pass of ours
    on_cpu = x.device.type == "cpu"
    is_folded = on_cpu and can_fold(resizer)
    if sampled.can_sample(resizer.stem, x.shape[2:], interpolation):
        return Path.SAMPLED_FOLDED if is_folded else Path.SAMPLED
    # On a GPU tiles have not been measured: there they only save memory.
    if not (on_cpu or resizer.with_cp) or not tiled.can_tile(x, resizer.stem):
        return Path.IN_PLACE
    return Path.TILED_FOLDED if is_folded else Path.TILED


def _is_as_built(resizer: "LearnedResizer") -> bool:
    """Returns whether blocks and layers behind the stem make maps of their own."""
    return all(type(b) is ResidualBlock for b in resizer.blocks) and all(
        type(layer) in (ConvNorm, Fuse) for layer in conv_norms(resizer)
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
    stem, with_cp = resizer.stem, resizer.with_cp
    if path is Path.SAMPLED_GRAPH:

        def run(x: Tensor) -> Tensor:
            weights = tiled.stem_weights(stem)
            y = sampled.sampled_stem(x, *weights, stem=stem, to=interpolation)
            return stem.norm(y)

        return resizer.refine(maybe_checkpoint(with_cp, run, x, stem))
    if path in (Path.SAMPLED, Path.SAMPLED_FOLDED):
        sampled_stem = partial(sampled.sampled_stem, stem=stem, to=interpolation)
        few = sampled.images_in_cache(x, stem, interpolation)
    if path is Path.SAMPLED_FOLDED:
        return call_folded(resizer, x, sampled_stem, few)
    if path is Path.TILED_FOLDED:
        tiled_stem = partial(tiled.tiled_stem, stem=stem, to=interpolation)
        return call_folded(resizer, x, tiled_stem, tiled.images_in_cache(x, stem))
    if path is Path.SAMPLED:
        tensors = tiled.autocast([x, *tiled.stem_weights(stem)])
        with torch.autocast(x.device.type, enabled=False):
            features = map_images(sampled_stem, few, with_cp, *tensors)
        features = stem.norm(features)
    elif path is Path.TILED:
        features = tiled.normed_stem(x, stem, interpolation)
    else:
        if x.is_cuda:  # docs/benchmarks: up to 3 times faster in training
            x = x.contiguous(memory_format=torch.channels_last)
        features = resizer.features(x, interpolation)
    if x.is_cuda:
        features = features.contiguous(memory_format=torch.channels_last)

    def rest(features: Tensor) -> Tensor:
        z = features
        for block in resizer.blocks:
            y = tiled.act_in_place(block.act, block.layer1(z))
            z = block.layer2(y).add_(z)
        z = resizer.fuse(z).add_(features)
        if not tiled.is_conv(resizer.out, 7, 3):
            return resizer.out(z)
        return conv2d_packed(z, resizer.out.weight, resizer.out.bias)

    return maybe_checkpoint(with_cp, rest, features, resizer.blocks, resizer.fuse)
