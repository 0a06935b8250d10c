"""The residual block of the learned resizer."""

from collections import OrderedDict
from typing import Any

from mmcv.cnn import build_activation_layer
from mmpretrain.models.utils import build_norm_layer
from torch import Tensor, nn


class ConvNorm(nn.Sequential):
    """A 3x3 convolution and a norm layer, which makes a bias needless.

    Args:
        channels (int): Number of channels of input and output.
        norm_cfg (dict, optional): Norm layer; without one the convolution has a bias.
    """

    conv: nn.Conv2d
    norm: Any

    def __init__(self, channels: int, norm_cfg: dict | None):
        conv = nn.Conv2d(channels, channels, 3, padding=1, bias=norm_cfg is None)
        layers = OrderedDict(conv=conv, norm=nn.Identity())
        if norm_cfg is not None:
            layers["norm"] = build_norm_layer(norm_cfg, channels)
        super().__init__(layers)


class ResidualBlock(nn.Module):
    """``z + norm(conv3x3(act(norm(conv3x3(z)))))``, of constant width.

    Args:
        channels (int): Number of channels of input and output.
        norm_cfg (dict, optional): Norm layer.
        act_cfg (dict): Activation layer.
    """

    def __init__(self, channels: int, norm_cfg: dict | None, act_cfg: dict):
        super().__init__()
        self.layer1 = ConvNorm(channels, norm_cfg)
        self.act = build_activation_layer(act_cfg)
        self.layer2 = ConvNorm(channels, norm_cfg)

    def forward(self, z: Tensor) -> Tensor:
        """Maps (N, channels, H, W) to the same shape."""
        return z + self.layer2(self.act(self.layer1(z)))
