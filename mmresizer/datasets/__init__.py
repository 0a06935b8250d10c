"""Datasets and transforms that MMPretrain lacks."""

from . import _mmpretrain  # noqa: F401
from .ava import AVA, read_ratings
from .degraded import DegradedImages, DegradedTextures
from .fine_textures import FineTextures
from .imagenette import Imagenette
from .imagewoof import Imagewoof
from .samplers import AspectRatioBatchSampler
from .transforms import AspectRatioResize, LoadImage

__all__ = [
    "AVA",
    "AspectRatioBatchSampler",
    "AspectRatioResize",
    "DegradedImages",
    "DegradedTextures",
    "FineTextures",
    "Imagenette",
    "Imagewoof",
    "LoadImage",
    "read_ratings",
]
