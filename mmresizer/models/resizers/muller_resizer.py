"""The multilayer Laplacian resizer of Tu, Milanfar and Talebi."""

import math
from collections.abc import Sequence
from contextlib import nullcontext
from numbers import Real
from typing import Any

import torch
import torch.fx
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from mmresizer.registry import MODELS
from mmresizer.utils import InputError
from mmresizer.utils.errors import check_bool, check_int

from .base_resizer import INTERPOLATION_MODES, BaseResizer, Interpolation


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    )


def _is_numbers(value: Any) -> bool:
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    return is_list and len(value) > 0 and all(_is_number(v) for v in value)


# Leaves of symbolic traces, in which types and devices are unknown.
@torch.fx.wrap
def _widen(x: Tensor) -> Tensor:
    """Returns images as the layers see them."""
    # At least float32: a small difference of images is multiplied by a weight of
    # about 10.
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    # CPUs convolve few channels several times faster in channels_last. Compilers choose
    # for themselves, and exported programs would refuse images of one pixel's width.
    if torch.compiler.is_compiling():
        return x
    return x.contiguous(memory_format=torch.channels_last)


@torch.fx.wrap
def _blur(x: Tensor, kernel: Tensor) -> Tensor:
    """Blurs all channels, first along rows, then along columns."""
    # Half precision rounds the kernel; unless its sum is 1, brightness changes.
    kernel = kernel.to(x.dtype)
    kernel = kernel / kernel.sum()
    channels, radius = x.shape[1], len(kernel) // 2
    # The meta device, on which costs are counted, has no autocast.
    is_meta = x.device.type == "meta"
    with nullcontext() if is_meta else torch.autocast(x.device.type, enabled=False):
        row = kernel.view(1, 1, 1, -1).expand(channels, -1, -1, -1)
        x = F.conv2d(x, row, padding=(0, radius), groups=channels)
        column = row.transpose(2, 3)
        return F.conv2d(x, column, padding=(radius, 0), groups=channels)


@MODELS.register_module()
class MULLERResizer(BaseResizer):
    """MULLER resizer: interpolation plus band-pass details, each with two scalars.

    From `MULLER: Multilayer Laplacian Resizer for Vision
    <https://arxiv.org/abs/2304.02859>`_ (ICCV 2023). With 2 layers::

        x --+-------------- resize ---------------------------------------- + --+-- y
            |                                                               |   |
            +-- blur(x) - x ------ resize -- tanh(w1 * residual + b1) ------+   |
            |                                                                   |
         blur(x) = x'                                                           |
            |                                                                   |
            +-- blur(x') - x' ---- resize -- tanh(w2 * residual + b2) ----------+

    The blur is Gaussian and keeps the size of its input. Around the input it sees zeros
    (black), as in the authors' code. Nothing is clipped: y can leave [0, 1]. The
    parameters ``weight`` and ``bias`` have one number per layer, for all channels. A
    blur costs 2 * ``kernel_size`` multiply-accumulates for each channel of each input
    pixel.

    A patent application covers the method (US 2024/0331091).

    Args:
        output_size (int | tuple[int, int], optional): See :class:`BaseResizer`.
        scale_factor (float | tuple[float, float], optional): See :class:`BaseResizer`.
        num_layers (int): Number of layers. Defaults to 2.
        kernel_size (int): Size of the Gaussian kernel, odd. Defaults to 5.
        sigma (float): Standard deviation of the Gaussian in pixels. Defaults to 1.0.
        average_pool (bool): Whether each resize starts with an average over windows.
            Their height and width are those of the input over those of the output,
            rounded down; if either is below 2, nothing is averaged. A traced graph
            keeps the size of the windows; `torch.export` refuses dynamic sizes.
            Defaults to False.
        interpolation (str): See :class:`BaseResizer`; for both image and residuals.
            Defaults to "bilinear".
        antialias (bool): See :class:`BaseResizer`. Defaults to False.
        mean (Sequence[float], optional): What the data preprocessor subtracts from each
            channel, on a scale of 0 to 255. The layers then see images in [0, 1], and
            the output is normalized like the input. Defaults to None: images are in
            [0, 1].
        std (Sequence[float], optional): What the data preprocessor divides by. It must
            be given with ``mean``.
        weights (Sequence[float], optional): Initial (w1, b1, w2, b2, ...). The authors'
            for a ResNet-50 are (1.892, -0.014, -11.295, 0.003). Defaults to zeros, as
            in their code: an untrained resizer is plain interpolation, and learns.
        output_range (Sequence, optional): See :class:`BaseResizer`.
        init_cfg (dict | list[dict], optional): Initialization that replaces
            ``weights``. Defaults to None.

    Raises:
        InputError: If an argument is out of its range.

    Examples:
        >>> import torch
        >>> from mmresizer.models import MULLERResizer
        >>> MULLERResizer(output_size=24)(torch.rand(2, 3, 96, 128)).shape
        torch.Size([2, 3, 24, 24])
        >>> MULLERResizer(scale_factor=0.5)(torch.rand(2, 3, 96, 128)).shape
        torch.Size([2, 3, 48, 64])
    """

    kernel: Tensor
    scale: Tensor | None
    offset: Tensor | None

    def __init__(
        self,
        output_size: int | tuple[int, int] | None = None,
        scale_factor: float | tuple[float, float] | None = None,
        num_layers: int = 2,
        kernel_size: int = 5,
        sigma: float = 1.0,
        average_pool: bool = False,
        interpolation: str = "bilinear",
        antialias: bool = False,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        weights: Sequence[float] | None = None,
        output_range: Sequence | None = None,
        init_cfg: dict | list[dict] | None = None,
    ):
        super().__init__(
            output_size=output_size,
            scale_factor=scale_factor,
            interpolation=interpolation,
            antialias=antialias,
            output_range=output_range,
            init_cfg=init_cfg,
        )
        check_int("num_layers", num_layers, 1)
        check_int("kernel_size", kernel_size, 3)
        if kernel_size % 2 == 0:
            raise InputError(f"kernel_size must be odd, but got {kernel_size}")
        if not _is_number(sigma) or sigma <= 0:
            raise InputError(f"sigma must be a positive number, but got {sigma!r}")
        check_bool("average_pool", average_pool)
        if weights is None:
            weights = [0.0] * (2 * num_layers)
        if not _is_numbers(weights) or len(weights) != 2 * num_layers:
            raise InputError(
                f"weights must be {2 * num_layers} numbers (a weight and a bias for "
                f"each of num_layers={num_layers}), but got {weights!r}"
            )
        self.num_layers = num_layers
        self.kernel_size = kernel_size
        self.average_pool = average_pool
        self.weight = nn.Parameter(torch.tensor([float(v) for v in weights[::2]]))
        self.bias = nn.Parameter(torch.tensor([float(v) for v in weights[1::2]]))
        position = torch.arange(kernel_size) - kernel_size // 2
        # Not saved in checkpoints, as it is not learned.
        kernel = torch.softmax(-((position / sigma) ** 2) / 2, 0)
        self.register_buffer("kernel", kernel, persistent=False)
        self._register_normalization(mean, std)

    def _register_normalization(
        self, mean: Sequence[float] | None, std: Sequence[float] | None
    ) -> None:
        """Keeps the numbers that map normalized images to [0, 1]."""
        scale = offset = None
        if (mean is None) != (std is None):
            raise InputError(
                "mean and std must be given together, "
                f"but got mean={mean!r} and std={std!r}"
            )
        if mean is not None and std is not None:
            if not _is_numbers(mean):
                raise InputError(f"mean must be a list of numbers, but got {mean!r}")
            if not _is_numbers(std) or min(std) <= 0:
                raise InputError(
                    f"std must be a list of positive numbers, but got {std!r}"
                )
            if len(mean) != len(std):
                raise InputError(
                    "mean and std must have as many numbers, "
                    f"but got {len(mean)} and {len(std)}"
                )
            scale, offset = (
                torch.tensor([v / 255 for v in values]).view(-1, 1, 1)
                for values in (std, mean)
            )
        self.register_buffer("scale", scale, persistent=False)
        self.register_buffer("offset", offset, persistent=False)

    def check_images(self, x: Tensor) -> None:
        """See :meth:`BaseResizer.check_images`.

        Raises:
            InputError: Also if ``mean`` has another number of channels than ``x``.
        """
        super().check_images(x)
        if self.scale is not None and x.shape[1] != self.scale.shape[0]:
            raise InputError(
                "the resizer was built with mean and std of "
                f"{self.scale.shape[0]} channels, but got images of {x.shape[1]} "
                "channels"
            )

    def forward(self, x: Tensor) -> Tensor:
        """See :meth:`BaseResizer.forward`.

        Raises:
            InputError: See :meth:`check_images`.
        """
        image = self.interpolate(x)
        z = _widen(x)
        if self.scale is not None and self.offset is not None:
            z = z * self.scale + self.offset
        details = torch.zeros_like(image, dtype=z.dtype)
        for layer in range(self.num_layers):
            blurred = _blur(z, self.kernel)
            residual = self.interpolate(blurred - z)
            details = details + torch.tanh(
                self.weight[layer] * residual + self.bias[layer]
            )
            z = blurred
        # Interpolation preserves constants: only the details need the normalization.
        if self.scale is not None:
            details = details / self.scale
        return self.finish((image + details).to(image.dtype))

    def interpolate(self, x: Tensor) -> Tensor:
        """Averages if ``average_pool``, then see :meth:`BaseResizer.interpolate`."""
        if not self.average_pool:
            return super().interpolate(x)
        self.check_images(x)
        input_size = (int(x.shape[2]), int(x.shape[3]))
        size = self.get_output_size(input_size)
        window = [n // m for n, m in zip(input_size, size, strict=True)]
        if min(window) < 2:
            return super().interpolate(x)
        # Windows may overhang the image, evenly on both sides like TensorFlow's "SAME"
        # padding. They average over the image alone.
        overhang = [-n % k for n, k in zip(input_size, window, strict=True)]
        x = F.avg_pool2d(
            x,
            window,
            padding=[n // 2 for n in overhang],
            ceil_mode=True,
            count_include_pad=False,
        )
        mode = INTERPOLATION_MODES[self.interpolation]
        return Interpolation(size, mode, self.antialias)(x)

    def extra_repr(self) -> str:
        """Shows the arguments in ``print(model)``."""
        return (
            f"{super().extra_repr()}, num_layers={self.num_layers}, "
            f"kernel_size={self.kernel_size}, average_pool={self.average_pool}"
        )
