"""Hooks, and the set-up of distributed jobs."""

from .distributed import check_num_processes, leave_distributed, setup_distributed
from .hooks import (
    DivergedError,
    RecordRunHook,
    ResizerOptimizerHook,
    ResizerVisualizationHook,
)

__all__ = [
    "DivergedError",
    "RecordRunHook",
    "ResizerOptimizerHook",
    "ResizerVisualizationHook",
    "check_num_processes",
    "leave_distributed",
    "setup_distributed",
]
