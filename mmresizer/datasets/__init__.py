"""Datasets and transforms that MMPretrain lacks."""

from .fine_textures import FineTextures
from .transforms import LoadImage

__all__ = ["FineTextures", "LoadImage"]
