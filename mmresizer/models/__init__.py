"""Resizers and the models that carry one."""

from .classifiers import (
    ResizerClassifier,
    ResizerHuggingFaceClassifier,
    ResizerTimmClassifier,
)
from .resizers import BaseResizer, InterpolationResizer, LearnedResizer

__all__ = [
    "BaseResizer",
    "InterpolationResizer",
    "LearnedResizer",
    "ResizerClassifier",
    "ResizerHuggingFaceClassifier",
    "ResizerTimmClassifier",
]
