"""Hooks of the Runner."""

from .clip_resizer_grad_hook import ClipResizerGradHook
from .resizer_visualization_hook import ResizerVisualizationHook

__all__ = ["ClipResizerGradHook", "ResizerVisualizationHook"]
