"""Loops, hooks, optimizer wrappers, and the setup of distributed jobs."""

from .distributed import (
    check_job,
    check_num_processes,
    check_same_code,
    is_hidden_endpoint,
    is_restarting,
    leave_distributed,
    losing_processes,
    setup_distributed,
)
from .hooks import (
    DivergedError,
    DrawPredictionsHook,
    PreemptionHook,
    ProgressBarHook,
    RecordMetricsHook,
    RecordRunHook,
    ResizerOptimizerHook,
    ResizerVisualizationHook,
)
from .loops import ResumableEpochLoop, ResumableIterLoop, use_resumable_loop
from .optimizers import BFloat16OptimWrapper

__all__ = [
    "BFloat16OptimWrapper",
    "DivergedError",
    "DrawPredictionsHook",
    "PreemptionHook",
    "ProgressBarHook",
    "RecordMetricsHook",
    "RecordRunHook",
    "ResizerOptimizerHook",
    "ResizerVisualizationHook",
    "ResumableEpochLoop",
    "ResumableIterLoop",
    "check_job",
    "check_num_processes",
    "check_same_code",
    "is_hidden_endpoint",
    "is_restarting",
    "leave_distributed",
    "losing_processes",
    "setup_distributed",
    "use_resumable_loop",
]
