"""Resizers and the models that carry one."""

from .backbones import InceptionV2
from .classifiers import (
    ResizerClassifier,
    ResizerHuggingFaceClassifier,
    ResizerTimmClassifier,
)
from .resizers import (
    BaseResizer,
    InterpolationResizer,
    LearnedResizer,
    MULLERResizer,
)

__all__ = [
    "BaseResizer",
    "InceptionV2",
    "InterpolationResizer",
    "LearnedResizer",
    "MULLERResizer",
    "ResizerClassifier",
    "ResizerHuggingFaceClassifier",
    "ResizerTimmClassifier",
]
