"""The learned resizer with its norms folded into convolutions, image by image.

With norms of fixed numbers no image has to wait for the others.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from ..residual_block import ConvNorm
from .deferred_norm import is_fixed
from .packed_conv import conv2d_packed
from .pool import map_images
from .tiled_stem import (
    act_in_place,
    autocast,
    is_conv,
    is_elementwise,
    is_known,
    stem_weights,
)

if TYPE_CHECKING:
    from ..learned_resizer import LearnedResizer


def can_fold(resizer: "LearnedResizer") -> bool:
    """Returns whether :func:`call_folded` covers a resizer."""
    layers = conv_norms(resizer)
    return (
        is_known(resizer.stem)
        and all(is_conv(layer.conv, 3, 1) for layer in layers)
        and is_conv(resizer.out, 7, 3)
        and all(is_elementwise(b.act) for b in resizer.blocks)
        and all(map(is_fixed, (resizer.stem.norm, *(layer.norm for layer in layers))))
    )


def call_folded(
    resizer: "LearnedResizer",
    x: Tensor,
    stem: Callable[..., Tensor],
    images_in_cache: int,
) -> Tensor:
    """Computes what a resizer adds to the interpolated images.

    Args:
        resizer (LearnedResizer): For which :func:`can_fold` holds.
        x (Tensor): Images of shape (N, C, H, W).
        stem (Callable): Takes images and the :func:`stem_weights`; returns the stem's
            output, interpolated, without its norm.
        images_in_cache (int): How many images at a time have maps that stay in the
            cache of a core.

    Returns:
        Tensor: Images of shape (N, C, out height, out width).
    """
    norm = resizer.stem.norm
    affine = [getattr(norm, "weight", None), getattr(norm, "bias", None)]
    convs = stem_weights(resizer.stem)
    for layer in conv_norms(resizer):
        convs += _fold(layer)
    convs += [resizer.out.weight, resizer.out.bias]
    x, *convs = autocast([x, *convs])
    acts = [block.act for block in resizer.blocks]

    def run(x: Tensor, *weights: Any) -> Tensor:
        features = stem(x, *weights[2:6])
        if not isinstance(norm, nn.Identity):
            mean, var = norm.running_mean, norm.running_var
            weight, bias = weights[:2]
            features = F.batch_norm(features, mean, var, weight, bias, eps=norm.eps)
        pairs = zip(weights[6::2], weights[7::2], strict=True)
        z = features
        for act in acts:
            y = act_in_place(act, F.conv2d(z, *next(pairs), padding=1))
            z = F.conv2d(y, *next(pairs), padding=1).add_(z)
        z = F.conv2d(z, *next(pairs), padding=1).add_(features)
        return conv2d_packed(z, *next(pairs))

    with torch.autocast(x.device.type, enabled=False):
        return map_images(run, images_in_cache, resizer.with_cp, x, *affine, *convs)


def conv_norms(resizer: "LearnedResizer") -> list[Any]:
    """Returns the layers of the residual blocks and the one behind them."""
    blocks = [layer for b in resizer.blocks for layer in (b.layer1, b.layer2)]
    return [*blocks, resizer.fuse]


def _fold(layer: ConvNorm) -> list[Any]:
    """Returns weight and bias of one convolution that does the same."""
    norm, weight, bias = layer.norm, layer.conv.weight, layer.conv.bias
    if isinstance(norm, nn.Identity):
        return [weight, bias]
    scale = torch.rsqrt(norm.running_var + norm.eps)
    if norm.weight is not None:
        scale = scale * norm.weight
    mean = norm.running_mean if bias is None else norm.running_mean - bias
    shift = -mean * scale
    if norm.bias is not None:
        shift = shift + norm.bias
    return [
        weight * scale[:, None, None, None].to(weight.dtype),
        shift.to(weight.dtype),
    ]
