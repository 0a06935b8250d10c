"""Mounting of a resizer in a model, and finding it there."""

import logging
import threading
from collections.abc import Callable
from copy import deepcopy
from functools import cache, partial, wraps
from inspect import signature
from typing import Any

from mmengine.logging import print_log
from torch import nn

from mmresizer.models.resizers import BaseResizer
from mmresizer.registry import MODELS
from mmresizer.utils import InputError

# Methods of timm and Hugging Face whose first argument is images.
_ENTRANCES = (
    "forward",
    "forward_features",
    "forward_intermediates",
    "get_intermediate_layers",
)
# What the models of Hugging Face call images.
_PIXELS = "pixel_values"
# Their files have no place for a resizer: loaded again, the model would be without one.
_REFUSED = ("save_pretrained", "from_pretrained", "push_to_hub")

# Its `models` are those whose images this thread has resized already.
_resized = threading.local()


def mount_resizer(model: nn.Module, resizer: dict | nn.Module) -> None:
    """Makes a foreign model (timm, Hugging Face) resize its images first.

    The resizer becomes the submodule ``model.resizer``. It is moved, saved and restored
    with the model. It is called once in each ``model(images, ...)``, also by keyword,
    in timm's ``forward_features``, ``forward_intermediates`` and
    ``get_intermediate_layers``, and in Hugging Face's model without the head, such as
    ``model.resnet``. Other parts of the model take what they are given.

    Args:
        model (nn.Module): Takes images of shape (N, C, H, W) as its first argument. It
            becomes an instance of a subclass of its class. The methods of Hugging Face
            that save and load it would lose the resizer, and raise an InputError.
        resizer (dict | nn.Module): The resizer, a :class:`BaseResizer`.
    """
    if hasattr(model, "resizer"):
        raise InputError(f"{type(model).__name__} has an attribute `resizer` already")
    model.resizer = resizer if isinstance(resizer, nn.Module) else MODELS.build(resizer)
    for part in model.children():
        if next(iter(signature(part.forward).parameters), None) == _PIXELS:
            hook = partial(_resize_for_part, model)
            part.register_forward_pre_hook(hook, with_kwargs=True)
    model.__class__ = _with_resizer(type(model))  # type: ignore[arg-type]
    # The library has initialized its model. Without this mark mmengine would call the
    # `init_weights` of timm's transformers, which would replace pretrained weights.
    model.is_init = True  # type: ignore[assignment]


@cache
def _with_resizer(model_class: type) -> type:
    """Returns a subclass whose methods resize their images."""
    methods: dict[str, Any] = {
        name: _entrance(getattr(model_class, name))
        for name in _ENTRANCES
        if hasattr(model_class, name)
    }
    methods |= {name: _refusal(name) for name in _REFUSED if hasattr(model_class, name)}
    # Pickles by the library's class: this one is in no module.
    methods["__reduce__"] = lambda self: (_new, (model_class,), self.__dict__)
    methods["__module__"] = model_class.__module__
    return type(model_class.__name__, (model_class,), methods)


def _new(model_class: type) -> nn.Module:
    """Makes an instance without initializing it, for pickle and copies."""
    return object.__new__(_with_resizer(model_class))


def _entrance(method: Callable) -> Callable:
    _, name, *_ = signature(method).parameters

    @wraps(method)
    def resize_first(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        callers = getattr(_resized, "models", ())
        if self in callers:  # one entrance may call another one
            return method(self, *args, **kwargs)
        args, kwargs = _resize_images(self, name, args, kwargs)
        _resized.models = (*callers, self)
        try:
            return method(self, *args, **kwargs)
        finally:
            _resized.models = callers

    return resize_first


def _refusal(name: str) -> Callable:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise InputError(
            f"{name} would lose the resizer: save the state_dict of the classifier, "
            "and load it into a classifier with a resizer"
        )

    return refuse


# A deep copy of the model, such as an EMA, has hooks that refer to the copy.
def _resize_for_part(
    model: nn.Module, part: nn.Module, args: tuple, kwargs: dict
) -> tuple[tuple, dict]:
    callers = getattr(_resized, "models", ())
    if any(child is part for caller in callers for child in caller.children()):
        return args, kwargs
    return _resize_images(model, _PIXELS, args, kwargs)


def _resize_images(
    model: Any, name: str, args: tuple, kwargs: dict
) -> tuple[tuple, dict]:
    """Resizes the images, the first argument or the one called ``name``."""
    if args:
        return (model.resizer(args[0]), *args[1:]), kwargs
    if kwargs.get(name) is not None:
        kwargs = kwargs | {name: model.resizer(kwargs[name])}
    return args, kwargs


def get_resizer(model: nn.Module) -> BaseResizer:
    """Returns the resizer of a model, wherever it is mounted.

    Raises:
        InputError: If the model has no resizer, or more than one.
    """
    resizers = [m for m in model.modules() if isinstance(m, BaseResizer)]
    if len(resizers) != 1:
        raise InputError(
            f"{type(model).__name__} must have one resizer, but it has {len(resizers)}"
        )
    return resizers[0]


def without_resizer(model: nn.Module) -> nn.Module:
    """Returns a copy of a model that takes images as its resizer would give them."""
    plain = deepcopy(model)
    plain.set_submodule(get_resizer_name(model), nn.Identity())
    return plain


def get_resizer_name(model: nn.Module) -> str:
    """Returns the name of the submodule that is the resizer."""
    resizer = get_resizer(model)
    return next(name for name, m in model.named_modules() if m is resizer)


def report_fresh_resizer(model: nn.Module, incompatible_keys: tuple) -> None:
    """Logs after loading that a checkpoint lacks the weights of the resizer.

    It is a hook for :meth:`torch.nn.Module.register_load_state_dict_post_hook`.
    """
    parameters = dict(get_resizer(model).named_parameters())
    missing, _ = incompatible_keys
    fresh = [
        name
        for name in parameters
        if any(k.endswith(f"resizer.{name}") for k in missing)
    ]
    if fresh:
        count = sum(parameters[name].numel() for name in fresh)
        print_log(
            f"The checkpoint has no weights for {len(fresh)} of the resizer's "
            f"{len(parameters)} parameter tensors ({count:,} parameters); they keep "
            f"their initialization: {', '.join(f'resizer.{name}' for name in fresh)}",
            logger="current",
            level=logging.WARNING,
        )
