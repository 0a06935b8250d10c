"""The model zoo: its index, verified downloads, safe loading.

``import mmresizer`` imports this package. What writes the zoo (publishing, metafiles,
pages) and what builds models (loading) is imported by module.
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
