"""Hooks, and the setup of distributed jobs."""

from .distributed import check_num_processes, leave_distributed, setup_distributed
from .hooks import (
    ClipResizerGradHook,
    DistillationHook,
    DivergedError,
    RecomputeNormsHook,
    RecordRunHook,
    ResizerOptimizerHook,
    ResizerVisualizationHook,
)

__all__ = [
    "ClipResizerGradHook",
    "DistillationHook",
    "DivergedError",
    "RecomputeNormsHook",
    "RecordRunHook",
    "ResizerOptimizerHook",
    "ResizerVisualizationHook",
    "check_num_processes",
    "leave_distributed",
    "setup_distributed",
]
