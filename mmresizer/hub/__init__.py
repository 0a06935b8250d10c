"""The model zoo: its index, verified downloads, safe loading.

``import mmresizer`` imports this package, but not all of its modules: those that write
the zoo (publishing, metafiles, pages) and that build models (loading) are imported
where they are needed.
"""

from .checkpoints import register_loaders
from .mmpretrain_hub import register_models
from .model_index import (
    MMDETECTION,
    OURS,
    SCHEME,
    Weights,
    ZooModel,
    download_models,
    find_model,
    list_models,
    show_metrics,
)

__all__ = [
    "MMDETECTION",
    "OURS",
    "SCHEME",
    "Weights",
    "ZooModel",
    "download_models",
    "find_model",
    "list_models",
    "register_loaders",
    "register_models",
    "show_metrics",
]
