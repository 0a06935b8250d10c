"""Convolution with few output channels, such as the three of an image."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from .tiled_stem import autocast

# Output channels that a vector register of the CPU holds; the rest of it is padding.
_LANES = 16
# Values of an image's map from which on packing takes less than it saves.
_MIN_VALUES = 2**15


def conv2d_packed(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolves, on a CPU with 2 x 2 pixels of the output in one register.

    The four are channels of a convolution of stride 2 with a kernel wider by one pixel,
    which has four copies of the weights, each shifted by a pixel.

    Args:
        x (Tensor): Map of shape (N, C, H, W).
        weight (Tensor): Kernel of shape (out channels, C, K, K), with K odd. The stride
            is 1, the padding "same".
        bias (Tensor, optional): Of shape (out channels,).

    Returns:
        Tensor: Map of shape (N, out channels, H, W).
    """
    padding = weight.shape[-1] // 2
    pays = 4 * len(weight) <= _LANES and x[0].numel() >= _MIN_VALUES
    if x.device.type != "cpu" or not pays:
        return F.conv2d(x, weight, bias, padding=padding)
    x, weight, bias = autocast([x, weight, bias])
    shifts = [(top, left) for top in (0, 1) for left in (0, 1)]
    packed = torch.stack(
        [F.pad(weight, (left, 1 - left, top, 1 - top)) for top, left in shifts], 1
    )
    height, width = x.shape[2:]
    if height % 2 or width % 2:
        x = F.pad(x, (0, width % 2, 0, height % 2))
    if bias is not None:
        bias = bias.repeat_interleave(4)
    y = F.conv2d(x, packed.flatten(0, 1), bias, stride=2, padding=padding)
    return F.pixel_shuffle(y, 2)[:, :, :height, :width]
