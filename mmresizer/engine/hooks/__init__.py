"""Hooks of the Runner."""

from .resizer_visualization_hook import ResizerVisualizationHook

__all__ = ["ResizerVisualizationHook"]
