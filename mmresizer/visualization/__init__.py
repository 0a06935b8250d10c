"""Pictures of what a resizer does."""

from .resizer_grid import draw_resizer

__all__ = ["draw_resizer"]
