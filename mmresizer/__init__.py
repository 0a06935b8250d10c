"""Learned image resizers in front of OpenMMLab models."""

from mmengine.config.utils import MODULE2PACKAGE

from .version import __version__

# mmengine resolves `_base_ = 'mmresizer::family/config.py'` through this table.
MODULE2PACKAGE.setdefault("mmresizer", "mmresizer")

from .hub import register_loaders, register_models  # noqa: E402

register_loaders()
register_models()

__all__ = ["__version__"]
