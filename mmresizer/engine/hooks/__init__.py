"""Hooks for the Runner."""

from .draw_predictions_hook import DrawPredictionsHook
from .preemption_hook import PreemptionHook
from .progress_bar_hook import ProgressBarHook
from .record_metrics_hook import DivergedError, RecordMetricsHook
from .record_run_hook import RecordRunHook
from .resizer_optimizer_hook import ResizerOptimizerHook
from .resizer_visualization_hook import ResizerVisualizationHook

__all__ = [
    "DivergedError",
    "DrawPredictionsHook",
    "PreemptionHook",
    "ProgressBarHook",
    "RecordMetricsHook",
    "RecordRunHook",
    "ResizerOptimizerHook",
    "ResizerVisualizationHook",
]
