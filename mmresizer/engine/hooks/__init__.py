"""Hooks of the Runner."""

from .record_run_hook import DivergedError, RecordRunHook
from .resizer_optimizer_hook import ResizerOptimizerHook
from .resizer_visualization_hook import ResizerVisualizationHook

__all__ = [
    "DivergedError",
    "RecordRunHook",
    "ResizerOptimizerHook",
    "ResizerVisualizationHook",
]
