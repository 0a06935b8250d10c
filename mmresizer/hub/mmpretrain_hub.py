"""The models of the zoo in MMPretrain's ``list_models`` and ``get_model``."""

from pathlib import Path

from mmpretrain.apis import ModelHub

from .checkpoints import SCHEME
from .model_index import list_models

_ROOT = Path(__file__).parents[1] / ".mim"


def register_models() -> None:
    """Adds the models to MMPretrain's hub, once."""
    names = [model.name for model in list_models()]
    if any(ModelHub.has(name) for name in names):
        return
    ModelHub.register_model_index(_ROOT / "model-index.yml", config_prefix=_ROOT)
    for model in list_models():
        if model.weights is not None:  # a path that is no address is our loader's
            ModelHub._models_dict[model.name].weights = f"{SCHEME}{model.name}"
