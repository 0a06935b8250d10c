"""Resizers, and models that have one."""

from .backbones import InceptionV2
from .classifiers import (
    ResizerClassifier,
    ResizerHuggingFaceClassifier,
    ResizerTimmClassifier,
)
from .detectors import ResizerDetector
from .heads import IQAHead
from .losses import EMDLoss, RateLoss
from .resizers import (
    BaseResizer,
    InterpolationResizer,
    LearnedResizer,
    MULLERResizer,
)
from .segmentors import ResizerSegmentor

__all__ = [
    "BaseResizer",
    "EMDLoss",
    "IQAHead",
    "InceptionV2",
    "InterpolationResizer",
    "LearnedResizer",
    "MULLERResizer",
    "RateLoss",
    "ResizerClassifier",
    "ResizerDetector",
    "ResizerHuggingFaceClassifier",
    "ResizerSegmentor",
    "ResizerTimmClassifier",
]
