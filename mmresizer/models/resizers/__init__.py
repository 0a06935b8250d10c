"""Modules that change the size of a batch of images."""

from .base_resizer import BaseResizer
from .eight_bit import EightBit
from .interpolation_resizer import InterpolationResizer
from .learned_resizer import LearnedResizer
from .muller_resizer import MULLERResizer

__all__ = [
    "BaseResizer",
    "EightBit",
    "InterpolationResizer",
    "LearnedResizer",
    "MULLERResizer",
]
