"""The models of the zoo in MMPretrain's ``list_models`` and ``get_model``."""

import warnings
from pathlib import Path

from mmpretrain.apis import ModelHub

from mmresizer.utils import InputError

from .model_index import MMPRETRAIN, SCHEME, list_models

_ROOT = Path(__file__).parents[1] / ".mim"


def register_models() -> None:
    """Adds the classifiers to MMPretrain's hub, once.

    The package can be imported with a damaged index: that is reported as a warning.
    """
    try:
        models = list_models()
    except InputError as e:
        warnings.warn(str(e), stacklevel=2)
        return
    if any(ModelHub.has(model.name) for model in models):
        return
    ModelHub.register_model_index(_ROOT / "model-index.yml", config_prefix=_ROOT)
    for model in models:
        if model.library != MMPRETRAIN:  # its inferencers could not run them
            del ModelHub._models_dict[model.name]
        elif model.weights is not None:  # a path that is no address is our loader's
            ModelHub._models_dict[model.name].weights = f"{SCHEME}{model.name}"
