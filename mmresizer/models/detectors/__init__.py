"""Detectors that resize their images first."""

from .resizer_detector import ResizerDetector

__all__ = ["ResizerDetector"]
