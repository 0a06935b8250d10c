"""Helpers of the models."""

from .mount import get_resizer, mount_resizer, report_fresh_resizer

__all__ = ["get_resizer", "mount_resizer", "report_fresh_resizer"]
