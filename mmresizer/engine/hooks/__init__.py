"""Hooks of the Runner."""

from .progress_bar_hook import ProgressBarHook
from .record_run_hook import DivergedError, RecordRunHook
from .resizer_optimizer_hook import ResizerOptimizerHook
from .resizer_visualization_hook import ResizerVisualizationHook

__all__ = [
    "DivergedError",
    "ProgressBarHook",
    "RecordRunHook",
    "ResizerOptimizerHook",
    "ResizerVisualizationHook",
]
