"""Classifiers that resize their images first."""

from .resizer_classifier import ResizerClassifier
from .resizer_huggingface_classifier import ResizerHuggingFaceClassifier
from .resizer_timm_classifier import ResizerTimmClassifier

__all__ = [
    "ResizerClassifier",
    "ResizerHuggingFaceClassifier",
    "ResizerTimmClassifier",
]
