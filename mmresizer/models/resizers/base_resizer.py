"""The base of all resizers: the output size, and interpolation to it."""

import math
from abc import ABCMeta, abstractmethod
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, NamedTuple

import torch
import torch.fx
import torch.nn.functional as F  # noqa: N812
from mmengine.model import BaseModule
from torch import Tensor

from mmresizer.utils import InputError
from mmresizer.utils.errors import check_bool, check_choice

from .eight_bit import EightBit

# Name in a config -> mode of `torch.nn.functional.interpolate`. Torch keeps its own
# "nearest" for old models only; "nearest-exact" samples at half-pixel centres.
INTERPOLATION_MODES = {
    "nearest": "nearest-exact",
    "bilinear": "bilinear",
    "bicubic": "bicubic",
    "area": "area",
}
ANTIALIAS_INTERPOLATIONS = ("bilinear", "bicubic")


@torch.fx.wrap  # a leaf of symbolic traces, which cannot branch on a tensor
def _interpolate(x: Tensor, antialias: bool, **kwargs: Any) -> Tensor:
    """Calls torch's function, which antialiases 16-bit maps on GPUs alone."""
    if antialias and x.device.type == "cpu" and x.dtype in (torch.half, torch.bfloat16):
        return _interpolate(x.float(), antialias, **kwargs).to(x.dtype)
    if kwargs["mode"] == "area" and torch.compiler.is_compiling():
        return _average_areas(x, **kwargs)
    return F.interpolate(x, antialias=antialias, **kwargs)


def _average_areas(
    x: Tensor,
    size: tuple[int, int] | None,
    scale_factor: tuple[float, float] | None = None,
    **_: Any,
) -> Tensor:
    """Does what torch does in the mode "area", by products with matrices.

    The exporter to ONNX gives wrong values for torch's own operator.
    """
    if size is None:
        factors = scale_factor or (1.0, 1.0)
        size = (
            math.floor(x.shape[2] * factors[0]),
            math.floor(x.shape[3] * factors[1]),
        )
    rows, columns = (
        _area_weights(x, n, m) for n, m in zip(x.shape[2:], size, strict=True)
    )
    with torch.autocast(x.device.type, enabled=False):  # torch's takes any type, too
        return F.linear(F.linear(x, columns).mT, rows).mT.contiguous()


def _area_weights(x: Tensor, n: int, m: int) -> Tensor:
    """Weights of n pixels in m means, each of the pixels that it overlaps: (m, n)."""
    i = torch.arange(m, device=x.device)[:, None]
    j = torch.arange(n, device=x.device)
    overlaps = ((j + 1) * m > i * n) & (j * m < (i + 1) * n)
    return overlaps / overlaps.sum(1, keepdim=True).to(x.dtype)


class Interpolation(NamedTuple):
    """Interpolation of maps of shape (N, C, H, W) to a size in pixels."""

    size: tuple[int, int]
    mode: str
    antialias: bool

    def __call__(self, x: Tensor) -> Tensor:
        """Interpolates; the arguments are those of torch's function."""
        return _interpolate(x, self.antialias, size=self.size, mode=self.mode)


def _pair(name: str, value: Any, kind: type, accepted: str) -> tuple:
    """Returns ``value``, a number or a pair of numbers, as a (height, width) pair."""
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    pair = tuple(value) if is_list else (value, value)
    if (
        len(pair) != 2
        or not all(isinstance(v, kind) and not isinstance(v, bool) for v in pair)
        or not all(0 < v < math.inf for v in pair)
    ):
        raise InputError(f"{name} must be {accepted}, but got {value!r}")
    return pair


class BaseResizer(BaseModule, metaclass=ABCMeta):
    """Base class of resizers: modules that map images of any size to a target size.

    Sizes and factors are in (height, width) order. Pixels are squares whose centres are
    at half-integer coordinates, as in torch with ``align_corners=False``.

    Args:
        output_size (int | tuple[int, int], optional): Height and width of the output,
            in pixels; an int stands for a square. Exactly one of ``output_size`` and
            ``scale_factor`` must be given.
        scale_factor (float | tuple[float, float], optional): Output size over input
            size; the output size is rounded down.
        interpolation (str): "nearest", "bilinear", "bicubic" or "area". Defaults to
            "bilinear".
        antialias (bool): Whether the interpolation kernel gets wider when the image
            shrinks, so that it covers all input pixels, as PIL does. For "bilinear" and
            "bicubic". Defaults to False.
        output_range (Sequence, optional): The pair (low, high) of values between which
            the output is rounded to 256 levels, so that it can be sent as bytes: two
            numbers for all channels, or two lists with one number per channel, in the
            units of the output. Training sees the rounded output; its gradient passes
            the rounding. Defaults to None, no rounding.
        init_cfg (dict | list[dict], optional): Initialization of the weights.

    Attributes:
        in_channels (int): Number of channels of the images. A resizer that takes any
            says 3.
        out_channels (int): Number of channels of the output.
        eight_bit (EightBit, optional): Rounds, and maps between values and bytes.

    Raises:
        InputError: If an argument is out of its range.
    """

    in_channels = 3
    out_channels = 3

    def __init__(
        self,
        output_size: int | tuple[int, int] | None = None,
        scale_factor: float | tuple[float, float] | None = None,
        interpolation: str = "bilinear",
        antialias: bool = False,
        output_range: Sequence | None = None,
        init_cfg: dict | list[dict] | None = None,
    ):
        super().__init__(init_cfg=init_cfg)
        if (output_size is None) == (scale_factor is None):
            raise InputError(
                "exactly one of output_size and scale_factor must be given, but got "
                f"output_size={output_size!r} and scale_factor={scale_factor!r}"
            )
        if output_size is not None:
            accepted = "a positive int or a (height, width) pair of positive ints"
            output_size = _pair("output_size", output_size, Integral, accepted)
        if scale_factor is not None:
            accepted = "a positive number or a (height, width) pair of positive numbers"
            scale_factor = _pair("scale_factor", scale_factor, Real, accepted)
        check_bool("antialias", antialias)
        check_choice("interpolation", interpolation, INTERPOLATION_MODES)
        if antialias and interpolation not in ANTIALIAS_INTERPOLATIONS:
            raise InputError(
                "antialias=True needs interpolation "
                f"{' or '.join(ANTIALIAS_INTERPOLATIONS)}, but got {interpolation!r}"
            )
        self.output_size = output_size
        self.scale_factor = scale_factor
        self.interpolation = interpolation
        self.antialias = antialias
        self.eight_bit = None if output_range is None else EightBit(output_range)

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Resizes a batch of images.

        Args:
            x (Tensor): Images of shape (N, C, H, W).

        Returns:
            Tensor: Images of shape ``(N, C, *output_size)`` or
            (N, C, floor(H * scale_factor), floor(W * scale_factor)).
        """

    def get_output_size(self, input_size: tuple[int, int]) -> tuple[int, int]:
        """Returns the (height, width) of the output for an input of ``input_size``.

        Raises:
            InputError: If one of the two would have no pixels.
        """
        height, width = input_size
        size = self.output_size
        if size is None:
            assert self.scale_factor is not None  # by the constructor
            size = (
                math.floor(height * self.scale_factor[0]),
                math.floor(width * self.scale_factor[1]),
            )
        # One by one: `min` would fix the order of the sizes in an exported program.
        if any(n < 1 for n in (height, width, *size)):
            raise InputError(
                f"an image of {height}x{width} pixels (height x width) is too small "
                f"for an output of at least 1x1, at scale_factor={self.scale_factor}"
            )
        return size

    def count_skipped_macs(self, input_size: tuple[int, int]) -> int:
        """Counts the arithmetic of the layers that inference does not need.

        Args:
            input_size (tuple[int, int]): Height and width of the image in pixels.

        Returns:
            int: Multiply-accumulates for one image.
        """
        return 0

    def check_images(self, x: Tensor) -> None:
        """Checks images of shape (N, C, H, W) before they are resized.

        Raises:
            InputError: If ``x`` is not a 4D tensor of floating-point numbers, or the
                output would have no pixels.
        """
        if x.ndim != 4 or not x.is_floating_point():
            raise InputError(
                "a resizer needs images of shape (N, C, H, W) in floating point, "
                f"but got a tensor of shape {tuple(x.shape)} of {x.dtype}"
            )
        self.get_output_size((x.shape[2], x.shape[3]))

    @property
    def output_range(self) -> tuple[list[float], list[float]] | None:
        """Low and high of the levels, with one number for all channels or for each."""
        return None if self.eight_bit is None else self.eight_bit.output_range

    def finish(self, y: Tensor) -> Tensor:
        """Rounds the output of shape (N, C, H, W), if there is an ``output_range``.

        Raises:
            InputError: If ``output_range`` has another number of channels.
        """
        if self.eight_bit is None:
            return y
        channels = self.eight_bit.num_channels
        is_proxy = isinstance(y, torch.fx.Proxy)  # which has no number of channels
        if not is_proxy and channels not in (None, y.shape[1]):
            raise InputError(
                f"output_range has {channels} channels, but the resizer gives "
                f"{y.shape[1]}"
            )
        return self.eight_bit(y)

    def interpolate(self, x: Tensor) -> Tensor:
        """Interpolates a map of shape (N, C, H, W) to the output size.

        Raises:
            InputError: See :meth:`check_images`.
        """
        if not isinstance(x, torch.fx.Proxy):  # which stands for any tensor
            self.check_images(x)
        # torch computes the size from the factor itself, so that a traced or exported
        # graph follows the size of its input.
        return _interpolate(
            x,
            self.antialias,
            size=self.output_size,
            scale_factor=self.scale_factor,
            mode=INTERPOLATION_MODES[self.interpolation],
            recompute_scale_factor=True if self.scale_factor is not None else None,
        )

    def extra_repr(self) -> str:
        """Shows the arguments in ``print(model)``."""
        size = (
            f"output_size={self.output_size}"
            if self.output_size is not None
            else f"scale_factor={self.scale_factor}"
        )
        rounding = f", output_range={self.output_range}" if self.eight_bit else ""
        return (
            f"{size}, interpolation={self.interpolation}, antialias={self.antialias}"
            f"{rounding}"
        )
