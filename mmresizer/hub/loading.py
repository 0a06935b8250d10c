"""Loading of models with their weights, by name or by config."""

import os

from mmengine.config import Config
from torch import nn

from mmresizer.config.building import build_model
from mmresizer.config.loading import CONFIG_SUFFIXES, load_config, load_named_config
from mmresizer.models.utils import check_trained_weights
from mmresizer.utils import InputError

from .model_index import SCHEME, find_model


def load_model(cfg: Config, checkpoint: str) -> nn.Module:
    """Builds the model of a config with the weights of a checkpoint, in eval mode.

    It has what the checkpoint says about the dataset as ``_dataset_meta``.

    Raises:
        InputError: If the checkpoint does not have exactly the model's weights.
    """
    model = build_model(cfg)
    meta = check_trained_weights(model, checkpoint).get("meta") or {}
    # As MMPretrain's `get_model` calls it.
    model._dataset_meta = meta.get("dataset_meta")  # type: ignore[assignment]
    return model.eval()


def find_config(model: str | os.PathLike | Config) -> tuple[Config, str | None]:
    """Finds the config of a model.

    Args:
        model (str | os.PathLike | Config): Name of a model of the zoo, or a config.

    Returns:
        tuple[Config, str | None]: The config, and the published weights if a name is
        given and its model has some.

    Raises:
        InputError: If there is no such model or config, or it cannot be read.
    """
    if isinstance(model, Config):
        return model, None
    name = str(model).removeprefix(SCHEME)
    if name.endswith(CONFIG_SUFFIXES):
        return load_named_config(name), None
    found = find_model(name)
    weights = f"{SCHEME}{name}" if found.weights else None
    return load_config(str(found.config)), weights


def load_named_model(
    model: str | os.PathLike | Config | nn.Module,
    checkpoint: str | os.PathLike | None = None,
) -> nn.Module:
    """Loads a model by name or config; a model is returned as it is.

    Args:
        model (str | os.PathLike | Config | nn.Module): Name of a model of the zoo, a
            config, or a model.
        checkpoint (str | os.PathLike, optional): Weights. A config needs them; for a
            model of the zoo they replace its own.

    Returns:
        nn.Module: The model. Unless it was given, it has its config as ``_config``, as
        the models of :func:`mmpretrain.get_model` do.

    Raises:
        InputError: If the model or its weights are missing, or a checkpoint is given
            beside a model.
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
        if name.endswith(CONFIG_SUFFIXES):
            published = "a config comes without weights, a name of the zoo with them"
        raise InputError(f"{name!r} needs a checkpoint: {published}")
    loaded = load_model(cfg, checkpoint)
    loaded._config = cfg  # type: ignore[assignment]
    return loaded
