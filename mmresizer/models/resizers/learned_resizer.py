"""The learned resizer of Talebi and Milanfar."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from mmresizer.registry import MODELS
from mmresizer.utils import InputError
from mmresizer.utils.errors import check_bool, check_int

from .base_resizer import INTERPOLATION_MODES, BaseResizer, Interpolation
from .checkpointing import maybe_checkpoint
from .fast import Path, choose_path, count_skipped_macs, run_path
from .fuse import Fuse
from .residual_block import ResidualBlock
from .stem import Stem


@MODELS.register_module()
class LearnedResizer(BaseResizer):
    """Learned resizer: interpolation plus a small CNN, trained with the task loss.

    From `Learning to Resize Images for Computer Vision Tasks
    <https://arxiv.org/abs/2103.09950>`_ (ICCV 2021), figure 3::

        x --+-- resize ---------------------------------------------------------- + -- y
            |                                                                     |
            +-- stem: 7x7 act 1x1 act norm -- resize --+-- blocks -- fuse -- + -- out
                                                       |                     |
                                                       +---------------------+

    The convolutions keep the size of their input (stride 1, zero padding), except with
    ``stem_stride``. Those in front of a norm layer have no bias.

    On a CPU, and with ``with_cp`` on a GPU, the stem runs in tiles, which the backward
    pass computes again. The result can be differentiated once. The layers run one by
    one (:meth:`forward_plain`) if they have hooks, in exports, and with
    ``MMRESIZER_FAST=0`` in the environment, which is read at each call. Under
    ``torch.compile`` they do, too, but a stem of which interpolation reads little is
    computed there alone.

    Args:
        output_size (int | tuple[int, int], optional): See :class:`BaseResizer`.
        scale_factor (float | tuple[float, float], optional): See :class:`BaseResizer`.
        in_channels (int): Number of channels of the image. Defaults to 3.
        mid_channels (int): Number of channels inside, n in the paper. Defaults to 16.
        num_blocks (int): Number of residual blocks, r in the paper. Defaults to 1.
        stem_stride (int): Stride s of the stem; the paper has 1. With s > 1 the stem
            costs about s squared times less. Its first kernel, (6 + s) x (6 + s), is
            centred on blocks of s x s pixels. Its output is smaller than the image by a
            factor of s, so 2 suits images of twice the output size. It should divide
            height and width: the remainder is left out. Defaults to 1.
        interpolation (str): See :class:`BaseResizer`; for both image and features.
            Defaults to "bilinear".
        antialias (bool): See :class:`BaseResizer`. Defaults to False.
        norm_cfg (dict, optional): Norm layer. With None there are no norms, and the
            convolutions have biases. Defaults to ``dict(type='BN')``.
        norm_after_resize (bool): Whether the stem's norm comes behind the
            interpolation: ``norm(resize(act(conv1x1(act(conv7x7(x))))))`` instead of
            ``resize(norm(act(conv1x1(act(conv7x7(x))))))``. A batch norm then takes the
            statistics of the interpolated map. So training computes the stem only where
            interpolation reads it, if that is half of the stem's map or less: with
            "nearest" and "bilinear" at integer factors of 3 and more, with "bicubic" at
            6 and more or odd ones, never with ``antialias`` or "area". In inference a
            batch norm gives the same at either place, other norms do not. A variant of
            the paper's architecture. Defaults to False.
        act_cfg (dict): Activation layer. Defaults to LeakyReLU with slope 0.2.
        with_cp (bool): Whether the backward pass recomputes all of the CNN, so that its
            activations need not be kept. Gradients and norm statistics stay the same.
            Defaults to False.
        zero_init (bool): Whether the last convolution starts at zero. An untrained
            resizer is plain interpolation then. Defaults to False, as in the paper.
        residual_bound (float, optional): Bound b of what the CNN adds to the image, in
            the units of the input: the residual r becomes b tanh(r / b). Defaults to
            None, no bound, as in the paper.
        out_channels (int, optional): Number of channels of the output. Those beyond
            ``in_channels`` are what the CNN gives, without an interpolated image below;
            the backbone must take as many (``in_channels`` of most). A variant of the
            paper's architecture. Defaults to ``in_channels``.
        output_range (Sequence, optional): See :class:`BaseResizer`.
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
        norm_after_resize: bool = False,
        act_cfg: dict = dict(type="LeakyReLU", negative_slope=0.2),  # noqa: B006
        with_cp: bool = False,
        zero_init: bool = False,
        residual_bound: float | None = None,
        out_channels: int | None = None,
        output_range: Sequence | None = None,
        init_cfg: dict | list[dict] | None = None,
    ):
        check_int("in_channels", in_channels, 1)
        if out_channels is None:
            out_channels = in_channels
        for name, value, least in (
            ("out_channels", out_channels, in_channels),
            ("mid_channels", mid_channels, 1),
            ("num_blocks", num_blocks, 0),
            ("stem_stride", stem_stride, 1),
        ):
            check_int(name, value, least)
        super().__init__(
            output_size=output_size,
            scale_factor=scale_factor,
            interpolation=interpolation,
            antialias=antialias,
            output_range=output_range,
            init_cfg=init_cfg
            or [
                dict(type="Xavier", layer="Conv2d", distribution="uniform"),
                dict(type="Constant", layer=["_BatchNorm", "GroupNorm"], val=1),
            ],
        )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.with_cp = with_cp
        check_bool("norm_after_resize", norm_after_resize)
        if residual_bound is not None and not residual_bound > 0:
            raise InputError(
                f"residual_bound must be a positive number, but got {residual_bound!r}"
            )
        self.zero_init = zero_init
        self.residual_bound = residual_bound

        n = mid_channels
        self.stem = Stem(
            in_channels, n, stem_stride, norm_cfg, act_cfg, norm_after_resize
        )
        self.blocks: Any = nn.Sequential(
            *(ResidualBlock(n, norm_cfg, act_cfg) for _ in range(num_blocks))
        )
        self.fuse = Fuse(self, n, norm_cfg)
        self.out = nn.Conv2d(n, out_channels, 7, padding=3)
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
        image, resize = self._resize_image(x)
        path = choose_path(self, x, resize)
        if path is Path.PLAIN:
            residual = self.refine(self.features(x, resize))
        else:
            residual = run_path(path, self, x, resize)
        return self._add(image, residual)

    def forward_plain(self, x: Tensor) -> Tensor:
        """Does the same as :meth:`forward`, layer by layer, as in the figure.

        The fast paths are tested and measured against it.

        Raises:
            InputError: If ``x`` has no ``in_channels`` channels.
        """
        image, resize = self._resize_image(x)
        return self._add(image, self.refine(self.features(x, resize)))

    def features(self, x: Tensor, resize: Interpolation) -> Tensor:
        """Maps images of shape (N, C, H, W) to ``(N, mid_channels, *resize.size)``."""

        def run(x: Tensor) -> Tensor:
            y = resize(self.stem(x))
            return self.stem.norm(y) if self.stem.norm_after_resize else y

        return maybe_checkpoint(self.with_cp, run, x, self.stem)

    def refine(self, features: Tensor) -> Tensor:
        """Maps features, of the output's size, to what is added to the image."""
        return maybe_checkpoint(
            self.with_cp,
            lambda y: self.out(y + self.fuse(self.blocks(y))),
            features,
            self.blocks,
            self.fuse,
        )

    def count_skipped_macs(self, input_size: tuple[int, int]) -> int:
        """See :meth:`BaseResizer.count_skipped_macs`.

        Those of the stem at positions of its map that interpolation does not read, if
        it reads half of them or fewer: at integer factors of 3 and more, without
        antialiasing.
        """
        resize = self._interpolation_to(self.get_output_size(input_size))
        return count_skipped_macs(self.stem, input_size, resize)

    def check_images(self, x: Tensor) -> None:
        """See :meth:`BaseResizer.check_images`.

        Raises:
            InputError: Also if ``x`` has no ``in_channels`` channels, or fewer pixels
                on a side than ``stem_stride``.
        """
        super().check_images(x)
        if x.shape[1] != self.in_channels:
            raise InputError(
                f"the resizer was built for in_channels={self.in_channels}, "
                f"but got images of {x.shape[1]} channels"
            )
        height, width = x.shape[2:]
        stride = self.stem.stride
        if height < stride or width < stride:
            raise InputError(
                f"an image of {height}x{width} pixels (height x width) is too "
                f"small for stem_stride={stride}"
            )

    def _resize_image(self, x: Tensor) -> tuple[Tensor, Interpolation]:
        """Checks and interpolates images; also returns how, for the features."""
        image = self.interpolate(x)
        return image, self._interpolation_to((image.shape[2], image.shape[3]))

    def _interpolation_to(self, size: tuple[int, int]) -> Interpolation:
        mode = INTERPOLATION_MODES[self.interpolation]
        return Interpolation(size, mode, self.antialias)

    def _add(self, image: Tensor, residual: Tensor) -> Tensor:
        """Returns the output; the image is below its first channels."""
        if self.residual_bound is not None:
            residual = self.residual_bound * torch.tanh(residual / self.residual_bound)
        extra = self.out_channels - self.in_channels
        if extra:  # zeros behind the last channel
            image = F.pad(image, (0, 0, 0, 0, 0, extra))
        return self.finish(image + residual)
