"""Transforms that MMPretrain lacks."""

from .aspect_ratio_resize import AspectRatioResize
from .loading import LoadImage, read_image_size

__all__ = ["AspectRatioResize", "LoadImage", "read_image_size"]
