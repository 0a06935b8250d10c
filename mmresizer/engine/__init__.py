"""Hooks, and the set-up of distributed jobs."""

from .distributed import check_num_processes, leave_distributed, setup_distributed
from .hooks import (
    ClipResizerGradHook,
    DivergedError,
    RecomputeNormsHook,
    RecordRunHook,
    ResizerOptimizerHook,
    ResizerVisualizationHook,
)

__all__ = [
    "ClipResizerGradHook",
    "DivergedError",
    "RecomputeNormsHook",
    "RecordRunHook",
    "ResizerOptimizerHook",
    "ResizerVisualizationHook",
    "check_num_processes",
    "leave_distributed",
    "setup_distributed",
]
