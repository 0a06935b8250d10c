"""What small images cost when they are sent."""

import math
from numbers import Real

import torch
from torch import Tensor, nn

from mmresizer.registry import MODELS
from mmresizer.utils import InputError

# Levels. A constant map needs no bits, but the slope there is infinite.
_LEAST_DIFFERENCE = 1e-2


def bits_of_differences(mean: Tensor) -> Tensor:
    """Computes how many bits a whole number needs at most, by its mean absolute value.

    Of all distributions of whole numbers with this mean m, the two-sided geometric one
    has the largest entropy: with a = asinh(1 / m) it is
    ``(m a - log(tanh(a / 2))) / log(2)`` bits. It is nearly log2(2 e m) for a large m.

    Args:
        mean (Tensor): Mean absolute values, each positive, of any shape.

    Returns:
        Tensor: Bits, of the same shape.
    """
    a = torch.asinh(1 / mean)
    return (mean * a - torch.log(torch.tanh(a / 2))) / math.log(2)


@MODELS.register_module()
class RateLoss(nn.Module):
    """Estimates the bits that a codec without loss needs for each value of an image.

    Such codecs (PNG, WebP) predict a pixel from its neighbours, and write what is left.
    The loss is the largest entropy of that, see :func:`bits_of_differences`, by the
    mean absolute difference between neighbours, of each channel of each image. So it
    is about what is written of noise and textures, and far more than what is written
    of a pattern that repeats.

    Args:
        loss_weight (float): What a bit per value is worth, in units of the other
            losses. Defaults to 0.05.

    Raises:
        InputError: If ``loss_weight`` is no positive number.
    """

    def __init__(self, loss_weight: float = 0.05):
        super().__init__()
        is_number = isinstance(loss_weight, Real) and not isinstance(loss_weight, bool)
        if not is_number or not 0 < loss_weight < math.inf:
            raise InputError(
                f"loss_weight must be a positive number, but got {loss_weight!r}"
            )
        self.loss_weight = loss_weight

    def forward(self, levels: Tensor) -> Tensor:
        """Returns the loss, a scalar.

        Args:
            levels (Tensor): Maps of shape (N, C, H, W), from 0 to 255, rounded or not.

        Raises:
            InputError: If a map has one pixel, which has no neighbour.
        """
        differences = torch.cat(
            [levels.diff(dim=axis).abs().flatten(2) for axis in (2, 3)], dim=2
        )
        if not differences.shape[2]:
            raise InputError("a RateLoss needs maps of at least two pixels")
        mean = differences.mean(dim=2).clamp(min=_LEAST_DIFFERENCE)
        return self.loss_weight * bits_of_differences(mean).mean()
