"""Hooks for the Runner."""

from .clip_resizer_grad_hook import ClipResizerGradHook
from .distillation_hook import DistillationHook
from .recompute_norms_hook import RecomputeNormsHook
from .record_run_hook import DivergedError, RecordRunHook
from .resizer_optimizer_hook import ResizerOptimizerHook
from .resizer_visualization_hook import ResizerVisualizationHook

__all__ = [
    "ClipResizerGradHook",
    "DistillationHook",
    "DivergedError",
    "RecomputeNormsHook",
    "RecordRunHook",
    "ResizerOptimizerHook",
    "ResizerVisualizationHook",
]
