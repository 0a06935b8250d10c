"""Transforms that MMPretrain lacks."""

from .loading import LoadImage

__all__ = ["LoadImage"]
