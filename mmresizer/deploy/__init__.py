"""Trained models outside of PyTorch and OpenMMLab."""

from .export import FORMATS, PARTS, export_model

__all__ = ["FORMATS", "PARTS", "export_model"]
