"""The learned resizer of Talebi and Milanfar."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from mmcv.cnn import build_activation_layer
from mmengine.utils.dl_utils.parrots_wrapper import _BatchNorm
from mmpretrain.models.utils import build_norm_layer
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torch.utils.checkpoint import checkpoint

from mmresizer.registry import MODELS
from mmresizer.utils import InputError

from .base_resizer import INTERPOLATION_MODES, BaseResizer, Interpolation
from .deferred_norm import can_defer, uses_batch_stats
from .packed_conv import conv2d_packed
from .stem import (
    Stem,
    act_in_place,
    can_tile,
    has_hooks,
    images_at_a_time,
    is_plain_eager,
    tiled_stem,
)


class ConvNorm(nn.Sequential):
    """A 3x3 convolution and the norm layer that makes its bias superfluous.

    Args:
        channels (int): Number of channels of input and output.
        norm_cfg (dict, optional): Norm layer; without one the convolution has a bias.
    """

    conv: nn.Conv2d
    norm: Any

    def __init__(self, channels: int, norm_cfg: dict | None):
        has_bias = norm_cfg is None
        conv = nn.Conv2d(channels, channels, 3, padding=1, bias=has_bias)
        layers: dict[str, nn.Module] = dict(conv=conv)
        if norm_cfg is not None:
            layers["norm"] = build_norm_layer(norm_cfg, channels)
        super().__init__(OrderedDict(layers))

    def fold(self) -> Callable[[Tensor], Tensor]:
        """Returns a function that does the same in inference, by one convolution."""
        weight, bias = self.conv.weight, self.conv.bias
        norm = getattr(self, "norm", nn.Identity())
        if not isinstance(norm, nn.Identity):
            weight, bias = fuse_conv_bn_weights(
                weight,
                bias,
                norm.running_mean,
                norm.running_var,
                norm.eps,
                norm.weight,
                norm.bias,
            )
        return partial(F.conv2d, weight=weight, bias=bias, padding=1)


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
        # Nobody holds what is overwritten.
        if is_plain_eager(z) and not has_hooks(self):
            return self.layer2(act_in_place(self.act, self.layer1(z))).add_(z)
        return z + self.layer2(self.act(self.layer1(z)))

    def fold(self) -> Callable[[Tensor], Tensor]:
        """Returns a function that does the same in inference, by two convolutions."""
        layer1, layer2 = self.layer1.fold(), self.layer2.fold()
        return lambda z: layer2(act_in_place(self.act, layer1(z))).add_(z)


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

    The convolutions keep the size of their input (stride 1, zero padding), but for
    ``stem_stride``. Those before a norm layer have no bias.

    On a CPU, and with ``with_cp`` on a GPU, the stem runs in tiles and its backward
    pass computes them again; the result is differentiable once. With hooks on its
    layers, under ``torch.compile`` and in exports the layers run one by one.

    Args:
        output_size (int | tuple[int, int], optional): See :class:`BaseResizer`.
        scale_factor (float | tuple[float, float], optional): See :class:`BaseResizer`.
        in_channels (int): Number of channels of input and output. Defaults to 3.
        mid_channels (int): Number of channels inside, the paper's n. Defaults to 16.
        num_blocks (int): Number of residual blocks, the paper's r. Defaults to 1.
        stem_stride (int): Stride s of the stem; 1 is the paper's. With s > 1 the stem
            costs about s squared times less: its first kernel, (6 + s) x (6 + s), is
            centred on blocks of s x s pixels, and its output is smaller than the image
            by s, so that 2 suits images of twice the output's size. It should divide
            height and width, whose remainder is left out. Defaults to 1.
        interpolation (str): See :class:`BaseResizer`; for image and features alike.
            Defaults to "bilinear".
        antialias (bool): See :class:`BaseResizer`. Defaults to False.
        norm_cfg (dict, optional): Norm layer; None for none, and convolutions with
            biases. Defaults to ``dict(type='BN')``.
        act_cfg (dict): Activation layer. Defaults to LeakyReLU of slope 0.2.
        with_cp (bool): Whether to recompute all of the CNN in the backward pass instead
            of keeping its activations. Gradients and norm statistics stay the same.
            Defaults to False.
        zero_init (bool): Whether the last convolution starts at zero, so that an
            untrained resizer is plain interpolation. Defaults to False, as in the
            paper.
        residual_bound (float, optional): Bound b of what the CNN adds to the image, in
            the units of the input: r becomes b tanh(r / b). Defaults to None, no bound,
            as in the paper.
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
        stem_stride: int = 1,
        interpolation: str = "bilinear",
        antialias: bool = False,
        norm_cfg: dict | None = dict(type="BN"),  # noqa: B006
        act_cfg: dict = dict(type="LeakyReLU", negative_slope=0.2),  # noqa: B006
        with_cp: bool = False,
        zero_init: bool = False,
        residual_bound: float | None = None,
        init_cfg: dict | list[dict] | None = None,
    ):
        for name, value, least in (
            ("in_channels", in_channels, 1),
            ("mid_channels", mid_channels, 1),
            ("num_blocks", num_blocks, 0),
            ("stem_stride", stem_stride, 1),
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
        if residual_bound is not None and not residual_bound > 0:
            raise InputError(
                f"residual_bound must be a positive number, but got {residual_bound!r}"
            )
        self.zero_init = zero_init
        self.residual_bound = residual_bound

        n = mid_channels
        self.stem = Stem(in_channels, n, stem_stride, norm_cfg, act_cfg)
        self.blocks: Any = nn.Sequential(
            *(ResidualBlock(n, norm_cfg, act_cfg) for _ in range(num_blocks))
        )
        self.fuse = ConvNorm(n, norm_cfg)
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
        stride = self.stem.conv1.stride[0]
        if min(x.shape[2:]) < stride:
            raise InputError(
                f"an image of {x.shape[2]}x{x.shape[3]} pixels (height x width) is too "
                f"small for stem_stride={stride}"
            )
        size = image.shape[2:]
        if self._can_fold(x):
            return image + self._bounded(self._folded_residual(x, size))
        features = self._features(x, size)
        return image + self._bounded(
            self._maybe_checkpoint(self._residual, features, self.blocks, self.fuse)
        )

    def _bounded(self, residual: Tensor) -> Tensor:
        bound = self.residual_bound
        return residual if bound is None else bound * torch.tanh(residual / bound)

    def _features(self, x: Tensor, size: torch.Size) -> Tensor:
        """The output of the stem, interpolated to ``size``."""
        interpolation = self._interpolation(size)
        # On a GPU tiles have not been measured: there they only save memory.
        if (x.device.type == "cpu" or self.with_cp) and can_tile(x, self.stem):
            y, norm = tiled_stem(x, self.stem, interpolation)
            return y if norm is None else norm(y)
        return self._maybe_checkpoint(
            lambda x: interpolation(self.stem(x)), x, self.stem
        )

    def _interpolation(self, size: torch.Size) -> Interpolation:
        mode = INTERPOLATION_MODES[self.interpolation]
        return Interpolation((size[0], size[1]), mode, self.antialias)

    def _residual(self, features: Tensor) -> Tensor:
        y = self.fuse(self.blocks(features))
        in_place = is_plain_eager(y) and not has_hooks(self.fuse)
        return conv2d_packed(y.add_(features) if in_place else features + y, self.out)

    def _can_fold(self, x: Tensor) -> bool:
        """Returns whether :meth:`_folded_residual` gives the residual."""
        layers = [layer for b in self.blocks for layer in (b.layer1, b.layer2)]
        layers.append(self.fuse)
        convs = [layer.conv for layer in layers]
        layers.append(self.stem)
        norms = [getattr(layer, "norm", nn.Identity()) for layer in layers]
        return (
            x.device.type == "cpu"
            and not torch.is_grad_enabled()
            and not torch.is_autocast_enabled("cpu")
            and can_tile(x, self.stem)
            and not has_hooks(self.blocks, self.fuse, self.out)
            and all(type(conv) is nn.Conv2d for conv in convs)
            and all(
                type(norm) is nn.Identity
                or (can_defer(norm) and not uses_batch_stats(norm))
                for norm in norms
            )
        )

    def _folded_residual(self, x: Tensor, size: torch.Size) -> Tensor:
        """The residual in inference on a CPU.

        Norms are folded into the convolutions, and few images go through at a time, so
        that their maps stay in the cache.
        """
        blocks, fuse = [block.fold() for block in self.blocks], self.fuse.fold()
        residuals = []
        for images in x.split(images_at_a_time(x, self.stem)):
            y, norm = tiled_stem(images, self.stem, self._interpolation(size))
            features = z = y if norm is None else norm(y)
            for block in blocks:
                z = block(z)
            residuals.append(conv2d_packed(fuse(z).add_(features), self.out))
        return torch.cat(residuals)

    def _maybe_checkpoint(
        self, function: Callable[[Tensor], Tensor], x: Tensor, *parts: nn.Module
    ) -> Tensor:
        """Calls a function that uses parts of this module, under ``with_cp``."""
        # The usual `x.requires_grad` would never hold here: x may be the image itself.
        if not self.with_cp or not torch.is_grad_enabled():
            return function(x)
        if torch.compiler.is_compiling():  # it keeps the statistics out by itself
            return checkpoint(function, x, use_reentrant=False)
        return checkpoint(
            function,
            x,
            use_reentrant=False,
            context_fn=lambda: (nullcontext(), _frozen_norm_stats(*parts)),
        )


@contextmanager
def _frozen_norm_stats(*parts: nn.Module) -> Iterator[None]:
    """Keeps a recomputation from updating the running statistics a second time."""
    norms = [
        m
        for part in parts
        for m in part.modules()
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
