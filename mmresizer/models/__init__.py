"""Resizers and the models that carry one."""

from .backbones import InceptionV2
from .classifiers import (
    ResizerClassifier,
    ResizerHuggingFaceClassifier,
    ResizerTimmClassifier,
)
from .resizers import BaseResizer, InterpolationResizer, LearnedResizer

__all__ = [
    "BaseResizer",
    "InceptionV2",
    "InterpolationResizer",
    "LearnedResizer",
    "ResizerClassifier",
    "ResizerHuggingFaceClassifier",
    "ResizerTimmClassifier",
]
