"""The device's side of a split model: resizes images, encodes them, sends them.

It needs neither torch nor OpenMMLab. What it runs are the files of mmresizer's
``tools/deploy/export.py``, and it talks to ``python -m mmresizer serve``.
"""

from .client import Client, Prediction
from .codecs import Codec, parse_codec
from .errors import InputError
from .exported import ExportedModel
from .pipeline import Pipeline

__all__ = [
    "Client",
    "Codec",
    "ExportedModel",
    "InputError",
    "Pipeline",
    "Prediction",
    "parse_codec",
]
__version__ = "0.1.0"
