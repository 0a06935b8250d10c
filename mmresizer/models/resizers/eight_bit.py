"""Outputs that fit into bytes."""

from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any

import torch
from torch import Tensor, nn

from mmresizer.utils import InputError

_MAX_LEVEL = 255


class EightBit(nn.Module):
    """Rounds maps to 256 evenly spaced values, the *levels*, in each channel.

    The level of a value x is ``round(255 * (x - low) / (high - low))``, cut to 0 to
    255. The gradient passes the rounding unchanged ("straight through", `Bengio et al.
    <https://arxiv.org/abs/1308.3432>`_), and is zero where a value was cut.

    Args:
        output_range (Sequence): The pair (low, high): two numbers for all channels, or
            two lists with one number per channel.

    Attributes:
        output_range (tuple[list[float], list[float]]): Low and high.

    Raises:
        InputError: If ``output_range`` is no such pair.
    """

    low: Tensor
    step: Tensor

    def __init__(self, output_range: Sequence):
        super().__init__()
        low, high = _check_range(output_range)
        self.output_range = (low.tolist(), high.tolist())
        # In the config, not in checkpoints: weights fit with and without rounding.
        for name, value in (("low", low), ("step", (high - low) / _MAX_LEVEL)):
            self.register_buffer(name, value.float().view(-1, 1, 1), persistent=False)

    @property
    def num_channels(self) -> int | None:
        """Number of channels of the maps, or None for any."""
        return len(self.low) if len(self.low) > 1 else None

    def _apply(self, fn: Callable, recurse: bool = True) -> "EightBit":
        """Moves the module, but keeps float32: 16 bits would move levels."""
        super()._apply(fn, recurse)
        for name, buffer in self.named_buffers():
            if buffer.dtype != torch.float32:
                exact = EightBit(self.output_range).get_buffer(name)
                self.register_buffer(name, exact.to(buffer.device), persistent=False)
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Rounds maps of shape (N, C, H, W); their type stays."""
        z = self.scale(x)
        levels = z.round()
        if torch.is_grad_enabled():
            levels = levels.detach() + (z - z.detach())
        return (levels * self.step + self.low).to(x.dtype)

    def encode(self, x: Tensor) -> Tensor:
        """Returns the levels of maps of shape (N, C, H, W), uint8."""
        return self.scale(x).round().to(torch.uint8)

    def decode(self, levels: Tensor) -> Tensor:
        """Returns the values of levels of shape (N, C, H, W), float32."""
        return levels.float() * self.step + self.low

    def scale(self, x: Tensor) -> Tensor:
        """Returns levels before they are rounded, of the same shape, float32."""
        # bfloat16 has too few digits.
        return ((x.float() - self.low) / self.step).clamp(0, _MAX_LEVEL)


def _check_range(output_range: Any) -> tuple[Tensor, Tensor]:
    """Returns low and high as float64 tensors of one dimension, of equal length."""
    try:
        low, high = (_to_numbers(ends) for ends in output_range)
        if low.shape != high.shape or not bool((low < high).all()):
            raise ValueError
    except (TypeError, ValueError):
        raise InputError(
            "output_range must be a pair (low, high) of numbers, or of lists with one "
            f"number per channel, low below high, but got {output_range!r}"
        ) from None
    return low, high


def _to_numbers(ends: Any) -> Tensor:
    values = [ends] if isinstance(ends, Real) else list(ends)
    if not values or any(
        isinstance(v, bool) or not isinstance(v, Real) for v in values
    ):
        raise ValueError
    numbers = torch.tensor([float(v) for v in values], dtype=torch.float64)
    if not bool(numbers.isfinite().all()):
        raise ValueError
    return numbers
