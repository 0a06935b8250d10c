"""Hooks, and the setup of distributed jobs."""

from .distributed import check_num_processes, leave_distributed, setup_distributed
from .hooks import (
    DivergedError,
    DrawPredictionsHook,
    ProgressBarHook,
    RecordMetricsHook,
    RecordRunHook,
    ResizerOptimizerHook,
    ResizerVisualizationHook,
)

__all__ = [
    "DivergedError",
    "DrawPredictionsHook",
    "ProgressBarHook",
    "RecordMetricsHook",
    "RecordRunHook",
    "ResizerOptimizerHook",
    "ResizerVisualizationHook",
    "check_num_processes",
    "leave_distributed",
    "setup_distributed",
]
