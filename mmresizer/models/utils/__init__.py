"""Helpers for models: mounting of resizers, weights, pixels."""

from .mount import (
    get_resizer,
    get_resizer_name,
    mount_resizer,
    report_fresh_resizer,
    without_resizer,
)
from .pixels import normalize_images, restore_pixels, round_pixels, takes_rgb
from .resizing_model import ResizingModel
from .weights import (
    check_initial_weights,
    check_trained_weights,
    check_weights,
    digest_weights,
    load_checkpoint,
)

__all__ = [
    "ResizingModel",
    "check_initial_weights",
    "check_trained_weights",
    "check_weights",
    "digest_weights",
    "get_resizer",
    "get_resizer_name",
    "load_checkpoint",
    "mount_resizer",
    "normalize_images",
    "report_fresh_resizer",
    "restore_pixels",
    "round_pixels",
    "takes_rgb",
    "without_resizer",
]
