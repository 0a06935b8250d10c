"""Training, testing, inference and export."""

from mmresizer.deploy import calibrate_output_range, export_model

from .quality import (
    Quality,
    QualityPredictor,
    draw_contact_sheet,
    predict_quality,
    write_scores,
)
from .quantization import quantize_file
from .resizing import ImageResizer, resize_images
from .testing import enable_tta, evaluate_model, set_visualization
from .training import train_model
from .visualization import visualize_resizer

__all__ = [
    "ImageResizer",
    "Quality",
    "QualityPredictor",
    "calibrate_output_range",
    "draw_contact_sheet",
    "enable_tta",
    "evaluate_model",
    "export_model",
    "predict_quality",
    "quantize_file",
    "resize_images",
    "set_visualization",
    "train_model",
    "visualize_resizer",
    "write_scores",
]
