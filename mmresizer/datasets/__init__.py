"""Datasets and transforms that MMPretrain lacks."""

from .fine_textures import FineTextures
from .imagenette import Imagenette
from .imagewoof import Imagewoof
from .transforms import LoadImage

__all__ = ["FineTextures", "Imagenette", "Imagewoof", "LoadImage"]
