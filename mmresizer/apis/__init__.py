"""What the tools do, as functions."""

from .resizing import ImageResizer, resize_images
from .testing import enable_tta, evaluate_model
from .training import train_model
from .visualization import visualize_resizer

__all__ = [
    "ImageResizer",
    "enable_tta",
    "evaluate_model",
    "resize_images",
    "train_model",
    "visualize_resizer",
]
