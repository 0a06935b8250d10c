"""Trained models outside of PyTorch and OpenMMLab."""

from .calibration import calibrate_output_range
from .dense_detector import DenseDetector
from .export import export_model
from .formats import FORMATS, read_card
from .parts import PARTS

__all__ = [
    "FORMATS",
    "PARTS",
    "DenseDetector",
    "calibrate_output_range",
    "export_model",
    "read_card",
]
