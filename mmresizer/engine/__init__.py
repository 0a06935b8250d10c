"""Hooks, optimizer wrappers, and the setup of distributed jobs."""

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
from .optimizers import BFloat16OptimWrapper

__all__ = [
    "BFloat16OptimWrapper",
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
