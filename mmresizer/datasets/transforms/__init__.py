"""Transforms that MMPretrain lacks."""

from .aspect_ratio_resize import AspectRatioResize
from .loading import LoadImageFromFile, read_image_size

__all__ = ["AspectRatioResize", "LoadImageFromFile", "read_image_size"]
