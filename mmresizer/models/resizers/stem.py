"""The part of the learned resizer that sees the image."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from mmcv.cnn import build_activation_layer
from mmpretrain.models.utils import build_norm_layer
from torch import Tensor, nn

PADDING = 3  # of the image, on each side


class Stem(nn.Sequential):
    """The stem of the learned resizer: conv act 1x1 act norm.

    Args:
        in_channels (int): Channels of the image.
        channels (int): Channels of the other maps.
        stride (int): Stride s; the first kernel is (6 + s) x (6 + s), so that it is
            centred on s x s pixels.
        norm_cfg (dict, optional): Norm layer.
        act_cfg (dict): Activation layers.
        norm_after_resize (bool): Whether the norm is left to who interpolates the
            output. Defaults to False.
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
        norm_after_resize: bool = False,
    ):
        norm = build_norm_layer(norm_cfg, channels) if norm_cfg else nn.Identity()
        super().__init__(
            OrderedDict(
                conv1=nn.Conv2d(in_channels, channels, 6 + stride, stride, PADDING),
                act1=build_activation_layer(act_cfg),
                conv2=nn.Conv2d(channels, channels, 1),
                act2=build_activation_layer(act_cfg),
                norm=norm,
            )
        )
        self.stride = stride
        self.norm_after_resize = norm_after_resize

    def forward(self, x: Tensor) -> Tensor:
        """Maps images (N, in_channels, H, W) to (N, channels, H / s, W / s)."""
        y = self.act2(self.conv2(self.act1(self.conv1(x))))
        return y if self.norm_after_resize else self.norm(y)

    def named_children(self) -> Iterator[tuple[str, nn.Module]]:
        """Lists the norm first, as mmcv's `fuse_conv_bn` needs it.

        That fuser puts a norm into the last convolution that is listed before it, also
        across an activation.
        """
        layers = dict(super().named_children())
        yield "norm", layers.pop("norm")
        yield from layers.items()
