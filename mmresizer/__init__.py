"""Learned image resizers in front of OpenMMLab models."""

import os
import warnings
from importlib.util import find_spec

# OpenMP's threads spin while they wait, which beside other busy processes makes all
# work several times slower. The library reads this once, when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# mmcv without operators: of a layer that no model here has.
warnings.filterwarnings("ignore", "Fail to import ``MultiScaleDeformableAttention``")

from mmengine.config.utils import MODULE2PACKAGE  # noqa: E402

from .version import __version__  # noqa: E402

# mmengine resolves `_base_ = 'mmresizer::family/config.py'` through this table.
MODULE2PACKAGE.setdefault("mmresizer", "mmresizer")
# mmengine asks for the distribution "mmsegmentation", whose successor has another name.
if find_spec("mmseg"):
    MODULE2PACKAGE["mmseg"] = "mmseg"

from .hub import register_loaders, register_models  # noqa: E402

register_loaders()
register_models()

__all__ = ["__version__"]
