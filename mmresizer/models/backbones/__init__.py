"""Backbones that MMPretrain does not have."""

from .inception_v2 import InceptionV2

__all__ = ["InceptionV2"]
