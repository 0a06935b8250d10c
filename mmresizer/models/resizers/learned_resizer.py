"""The learned resizer of Talebi and Milanfar."""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from mmcv.cnn import build_activation_layer
from mmengine.utils.dl_utils.parrots_wrapper import _BatchNorm
from mmpretrain.models.utils import build_norm_layer
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mmresizer.registry import MODELS
from mmresizer.utils import InputError

from .base_resizer import BaseResizer


def _conv_norm(channels: int, norm_cfg: dict | None) -> dict[str, nn.Module]:
    """Returns a 3x3 convolution and the norm layer that makes its bias superfluous."""
    if norm_cfg is None:
        return {"conv": nn.Conv2d(channels, channels, 3, padding=1)}
    return {
        "conv": nn.Conv2d(channels, channels, 3, padding=1, bias=False),
        "norm": build_norm_layer(norm_cfg, channels),
    }


class ResidualBlock(nn.Module):
    """``z + norm(conv3x3(act(norm(conv3x3(z)))))``, of constant width.

    Args:
        channels (int): Number of channels of input and output.
        norm_cfg (dict, optional): Norm layer.
        act_cfg (dict): Activation layer.
    """

    def __init__(self, channels: int, norm_cfg: dict | None, act_cfg: dict):
        super().__init__()
        self.layer1 = nn.Sequential(OrderedDict(_conv_norm(channels, norm_cfg)))
        self.act = build_activation_layer(act_cfg)
        self.layer2 = nn.Sequential(OrderedDict(_conv_norm(channels, norm_cfg)))

    def forward(self, z: Tensor) -> Tensor:
        """Maps (N, channels, H, W) to the same shape."""
        return z + self.layer2(self.act(self.layer1(z)))


@MODELS.register_module()
class LearnedResizer(BaseResizer):
    """Learned resizer: interpolation plus a small CNN that is trained by the task loss.

    From `Learning to Resize Images for Computer Vision Tasks
    <https://arxiv.org/abs/2103.09950>`_ (ICCV 2021), figure 3::

        x --+-- resize ---------------------------------------------------------- + -- y
            |                                                                     |
            +-- stem: 7x7 act 1x1 act norm -- resize --+-- blocks -- fuse -- + -- out
                                                       |                     |
                                                       +---------------------+

    The convolutions keep the size of their input (stride 1, zero padding). Those before
    a norm layer have no bias.

    Args:
        output_size (int | tuple[int, int], optional): See :class:`BaseResizer`.
        scale_factor (float | tuple[float, float], optional): See :class:`BaseResizer`.
        in_channels (int): Number of channels of input and output. Defaults to 3.
        mid_channels (int): Number of channels inside, the paper's n. Defaults to 16.
        num_blocks (int): Number of residual blocks, the paper's r. Defaults to 1.
        interpolation (str): See :class:`BaseResizer`; for image and features alike.
            Defaults to "bilinear".
        antialias (bool): See :class:`BaseResizer`. Defaults to False.
        norm_cfg (dict, optional): Norm layer. Defaults to ``dict(type='BN')``.
        act_cfg (dict): Activation layer. Defaults to LeakyReLU of slope 0.2.
        with_cp (bool): Whether to recompute the CNN in the backward pass instead of
            keeping its activations. Gradients and norm statistics stay the same.
            Defaults to False.
        zero_init (bool): Whether the last convolution starts at zero, so that an
            untrained resizer is plain interpolation. Defaults to False, as in the
            paper.
        init_cfg (dict | list[dict], optional): Initialization of the weights. Defaults
            to uniform Xavier (Glorot) for convolutions, with zero biases, as in Keras.

    Raises:
        InputError: If an argument is out of its range.

    Examples:
        >>> import torch
        >>> from mmresizer.models import LearnedResizer
        >>> LearnedResizer(output_size=24)(torch.rand(2, 3, 96, 128)).shape
        torch.Size([2, 3, 24, 24])
        >>> LearnedResizer(scale_factor=0.5)(torch.rand(2, 3, 96, 128)).shape
        torch.Size([2, 3, 48, 64])
    """

    def __init__(
        self,
        output_size: int | tuple[int, int] | None = None,
        scale_factor: float | tuple[float, float] | None = None,
        in_channels: int = 3,
        mid_channels: int = 16,
        num_blocks: int = 1,
        interpolation: str = "bilinear",
        antialias: bool = False,
        norm_cfg: dict | None = dict(type="BN"),  # noqa: B006
        act_cfg: dict = dict(type="LeakyReLU", negative_slope=0.2),  # noqa: B006
        with_cp: bool = False,
        zero_init: bool = False,
        init_cfg: dict | list[dict] | None = None,
    ):
        for name, value, least in (
            ("in_channels", in_channels, 1),
            ("mid_channels", mid_channels, 1),
            ("num_blocks", num_blocks, 0),
        ):
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise InputError(f"{name} must be an int >= {least}, but got {value!r}")
        super().__init__(
            output_size=output_size,
            scale_factor=scale_factor,
            interpolation=interpolation,
            antialias=antialias,
            init_cfg=init_cfg
            or [
                dict(type="Xavier", layer="Conv2d", distribution="uniform"),
                dict(type="Constant", layer=["_BatchNorm", "GroupNorm"], val=1),
            ],
        )
        self.in_channels = in_channels
        self.with_cp = with_cp
        self.zero_init = zero_init

        n = mid_channels
        self.stem = nn.Sequential(
            OrderedDict(
                conv1=nn.Conv2d(in_channels, n, 7, padding=3),
                act1=build_activation_layer(act_cfg),
                conv2=nn.Conv2d(n, n, 1),
                act2=build_activation_layer(act_cfg),
                norm=build_norm_layer(norm_cfg, n) if norm_cfg else nn.Identity(),
            )
        )
        self.blocks = nn.Sequential(
            *(ResidualBlock(n, norm_cfg, act_cfg) for _ in range(num_blocks))
        )
        self.fuse = nn.Sequential(OrderedDict(_conv_norm(n, norm_cfg)))
        self.out = nn.Conv2d(n, in_channels, 7, padding=3)
        if zero_init:
            self._zero_out()

    def init_weights(self) -> None:
        """Initializes the weights by ``init_cfg``, then applies ``zero_init``."""
        super().init_weights()
        init_cfgs = (
            [self.init_cfg] if isinstance(self.init_cfg, dict) else self.init_cfg
        )
        pretrained = any(cfg["type"] == "Pretrained" for cfg in init_cfgs)
        if self.zero_init and not pretrained:
            self._zero_out()

    def _zero_out(self) -> None:
        for parameter in self.out.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """See :meth:`BaseResizer.forward`.

        Raises:
            InputError: If ``x`` has no ``in_channels`` channels.
        """
        image = self.interpolate(x)
        if x.shape[1] != self.in_channels:
            raise InputError(
                f"the resizer was built for in_channels={self.in_channels}, "
                f"but got images of {x.shape[1]} channels"
            )
        # The usual `x.requires_grad` would never hold here: x is the image itself.
        if self.with_cp and torch.is_grad_enabled():
            residual = checkpoint(
                self._residual,
                x,
                use_reentrant=False,
                context_fn=lambda: (nullcontext(), self._frozen_norm_stats()),
            )
        else:
            residual = self._residual(x)
        return image + residual

    def _residual(self, x: Tensor) -> Tensor:
        features = self.interpolate(self.stem(x))
        features = features + self.fuse(self.blocks(features))
        return self.out(features)

    @contextmanager
    def _frozen_norm_stats(self) -> Iterator[None]:
        """Keeps a recomputation from updating the running statistics a second time."""
        norms = [
            m
            for m in self.modules()
            if isinstance(m, _BatchNorm) and m.training and m.track_running_stats
        ]
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.momentum = 0.0
        try:
            yield
        finally:
            for norm, momentum in zip(norms, momenta, strict=True):
                norm.momentum = momentum
                norm.num_batches_tracked -= 1
