"""Mounting of a resizer in a model, and finding it there."""

import logging

from mmengine.logging import print_log
from torch import nn

from mmresizer.models.resizers import BaseResizer
from mmresizer.registry import MODELS
from mmresizer.utils import InputError


def mount_resizer(model: nn.Module, resizer: dict | nn.Module) -> None:
    """Makes a foreign model (timm, Hugging Face) resize its images first.

    The resizer becomes the submodule ``model.resizer``. It is moved, saved and restored
    with the model, and called before each ``model(images, ...)``.

    Args:
        model (nn.Module): Takes images of shape (N, C, H, W) as its first argument.
        resizer (dict | nn.Module): The resizer, a :class:`BaseResizer`.
    """
    if hasattr(model, "resizer"):
        raise InputError(f"{type(model).__name__} has an attribute `resizer` already")
    model.resizer = resizer if isinstance(resizer, nn.Module) else MODELS.build(resizer)
    model.register_forward_pre_hook(_resize_first_argument)
    # The library has initialized its model. Without this mark mmengine would call the
    # `init_weights` of timm's transformers, which would replace pretrained weights.
    model.is_init = True  # type: ignore[assignment]


# It must not refer to one resizer: a deep copy of the model, such as an EMA, must call
# its own.
def _resize_first_argument(module: nn.Module, args: tuple) -> tuple:
    images, *others = args
    resizer: BaseResizer = module.resizer  # type: ignore[assignment]
    return resizer(images), *others


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
