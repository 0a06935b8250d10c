"""Models of other libraries, each made a class of its own that resizes first."""

from functools import cache
from typing import Any, Self

from mmengine.model import BaseModel
from torch import nn

from mmresizer.registry import MODELS

from .mount import report_fresh_resizer


class ResizingModel(BaseModel):
    """Base of the classes that put a resizer in front of another library's model.

    An instance is of a class made from the subclass of this one and the model's. It has
    the parameters of the model under the same names, and ``resizer`` beside them. So
    checkpoints fit both ways, and hooks, parameter-wise options and layer-wise
    learning-rate decay find what they look for.

    Args:
        resizer (dict | nn.Module): The resizer, a :class:`BaseResizer`.
        **kwargs: The model's own arguments.
    """

    resizer: nn.Module

    def __init__(self, resizer: dict | nn.Module, **kwargs):
        super().__init__(**kwargs)
        self.resizer = (
            resizer if isinstance(resizer, nn.Module) else MODELS.build(resizer)
        )
        self.register_load_state_dict_post_hook(report_fresh_resizer)

    @classmethod
    def _new(cls, model_class: type) -> Self:
        """Makes an instance of the model's class, and of this one."""
        return object.__new__(_with_resizer(cls, model_class))  # type: ignore[arg-type]

    def __reduce__(self) -> tuple:
        """Pickles by the two classes: the class made from them is in no module."""
        return _new, type(self).__bases__, self.__dict__


@cache
def _with_resizer(cls: Any, model_class: type) -> type:
    """Returns a class of models with a resizer in front."""
    name = f"Resizer{model_class.__name__}"
    return type(name, (cls, model_class), {"__module__": cls.__module__})


def _new(cls: Any, model_class: type) -> ResizingModel:
    """Makes an instance without initializing it, for pickle and copies."""
    return cls._new(model_class)
