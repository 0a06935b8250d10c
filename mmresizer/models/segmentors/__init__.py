"""Segmentors that resize their images first."""

from .resizer_segmentor import ResizerSegmentor

__all__ = ["ResizerSegmentor"]
