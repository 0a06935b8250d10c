"""Datasets and transforms that MMPretrain lacks."""

from . import _mmpretrain  # noqa: F401
from .ava import AVA, read_ratings
from .degraded import DegradedImages, DegradedTextures
from .fine_textures import FineTextures
from .imagenette import Imagenette
from .imagewoof import Imagewoof
from .in_memory_images import InMemoryImages
from .k_fold_dataset import KFoldDataset
from .samplers import SameShapeBatchSampler
from .transforms import AspectRatioResize, LoadImageFromFile

__all__ = [
    "AVA",
    "AspectRatioResize",
    "DegradedImages",
    "DegradedTextures",
    "FineTextures",
    "Imagenette",
    "Imagewoof",
    "InMemoryImages",
    "KFoldDataset",
    "LoadImageFromFile",
    "SameShapeBatchSampler",
    "read_ratings",
]
