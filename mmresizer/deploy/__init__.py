"""Trained models outside of PyTorch and OpenMMLab."""

from .export import export_model
from .formats import FORMATS, read_card
from .parts import PARTS

__all__ = ["FORMATS", "PARTS", "export_model", "read_card"]
