"""What the tools do, as functions."""

from .testing import enable_tta, evaluate_model
from .training import train_model
from .visualization import visualize_resizer

__all__ = ["enable_tta", "evaluate_model", "train_model", "visualize_resizer"]
