"""Models by name, by config or as they are, with their weights."""

import os

import torch
from mmengine.config import Config
from torch import nn

from mmresizer.hub import SCHEME, find_model
from mmresizer.utils import InputError
from mmresizer.utils.cli import load_config, load_named_config

from .checks import build_model, check_trained_weights

_CONFIG_SUFFIXES = (".py", ".yml", ".yaml", ".json")


def load_model(cfg: Config, checkpoint: str) -> nn.Module:
    """Builds the model of a config with the weights of a checkpoint, in eval mode.

    Raises:
        InputError: If the checkpoint does not have exactly the model's weights.
    """
    model = build_model(cfg)
    check_trained_weights(model, checkpoint)
    return model.eval()


def check_device(device: str | None) -> torch.device:
    """Returns a device; by default "cuda" where there is one, else "cpu".

    Raises:
        InputError: If the device is not there.
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(0, device=device)
        return torch.device(device)
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as e:
        reason = " ".join(str(e).split())
        raise InputError(f"the device {device!r} is not there ({reason})") from e


def find_config(model: str | os.PathLike | Config) -> tuple[Config, str | None]:
    """Finds the config of a model.

    Args:
        model (str | os.PathLike | Config): Name of a model of the zoo, or a config.

    Returns:
        tuple[Config, str | None]: The config, and the published weights where it is the
        name of a model that has some.

    Raises:
        InputError: If there is no such model or config, or it cannot be read.
    """
    if isinstance(model, Config):
        return model, None
    name = str(model).removeprefix(SCHEME)
    if name.endswith(_CONFIG_SUFFIXES):
        return load_named_config(name), None
    found = find_model(name)
    weights = f"{SCHEME}{name}" if found.weights else None
    return load_config(str(found.config)), weights


def load_named_model(
    model: str | os.PathLike | Config | nn.Module,
    checkpoint: str | os.PathLike | None = None,
) -> nn.Module:
    """Loads the model of a name or config; a model is returned as it is.

    Args:
        model (str | os.PathLike | Config | nn.Module): Name of a model of the zoo, a
            config, or a model.
        checkpoint (str | os.PathLike, optional): Weights of the model of a config; of a
            model of the zoo, in place of its own.

    Returns:
        nn.Module: With its config as ``_config``, like those of
        :func:`mmpretrain.get_model`, unless it was given as a model.

    Raises:
        InputError: If the model or its weights are not there, or a checkpoint is given
            for a model that has its weights.
    """
    if isinstance(model, nn.Module):
        if checkpoint is not None:
            raise InputError("a checkpoint goes with a config, not with a model")
        return model
    cfg, weights = find_config(model)
    checkpoint = weights if checkpoint is None else os.fspath(checkpoint)
    if checkpoint is None:
        name = str(getattr(model, "filename", model))
        published = "it has no published weights"
        if name.endswith(_CONFIG_SUFFIXES):
            published = "a config comes without weights, a name of the zoo with them"
        raise InputError(f"{name!r} needs a checkpoint: {published}")
    loaded = load_model(cfg, checkpoint)
    loaded._config = cfg  # type: ignore[assignment]
    return loaded
