"""Pictures of what a resizer does."""

from .resizer_grid import draw_resizer, draw_resizers

__all__ = ["draw_resizer", "draw_resizers"]
