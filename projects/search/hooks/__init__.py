"""Hooks that the searches tried and the recipe does without."""

from .clip_resizer_grad_hook import ClipResizerGradHook
from .distillation_hook import DistillationHook
from .recompute_norms_hook import RecomputeNormsHook

__all__ = ["ClipResizerGradHook", "DistillationHook", "RecomputeNormsHook"]
