"""Checks of a config before a run writes anything."""

import os
from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from mmengine.config import Config, ConfigDict
from mmpretrain.models import BaseClassifier

from mmresizer.models import ResizerDetector, ResizerSegmentor
from mmresizer.registry import DATASETS, MODELS, enter_scope, find_class
from mmresizer.utils import InputError

Task = Literal["classification", "detection", "segmentation"]
_CLASSES: dict[type, Task] = {
    ResizerDetector: "detection",
    ResizerSegmentor: "segmentation",
    BaseClassifier: "classification",
}


def find_task(cfg: Config) -> Task:
    """Returns the task of a config's model.

    Raises:
        InputError: If there is no model, or its task is another one.
    """
    model = cfg.get("model")
    if not isinstance(model, dict):
        raise InputError(f"the config {cfg.filename} has no `model`")
    model = model.get("module", model)  # test-time augmentation wraps it
    enter_scope(cfg)
    kind = model.get("type")
    cls = find_class(MODELS, kind)
    if cls is None:  # building reports unknown names
        return "classification"
    for base, task in _CLASSES.items():
        if isinstance(cls, type) and issubclass(cls, base):
            return task
    raise InputError(
        f"the model of {cfg.filename} must be an image classifier, a ResizerDetector "
        f"or a ResizerSegmentor, but it is of type {kind!r}"
    )


def has_mmdet() -> bool:
    """Says whether MMDetection and the operators of mmcv that it needs are there."""
    return all(find_spec(name) is not None for name in ("mmdet", "mmcv._ext"))


def check_settings(cfg: Config, names: Iterable[str], task: str) -> None:
    """Checks that a config has the settings that a task needs.

    Args:
        cfg (Config): Config of the Runner.
        names (Iterable[str]): The settings.
        task (str): What is to be done, such as "train".

    Raises:
        InputError: If one is missing or None.
    """
    for name in names:
        if cfg.get(name) is None:
            raise InputError(
                f"the config {cfg.filename} has no `{name}`: nothing to {task}"
            )


def check_data(cfg: Config, *dataloaders: str) -> None:
    """Checks that the folders of the datasets exist and are not empty.

    Args:
        cfg (Config): Config of the Runner.
        *dataloaders (str): Names of the dataloaders that the run will use.

    Raises:
        InputError: If a local folder is missing or empty.
    """
    for name in dataloaders:
        for dataset in iter_datasets(cfg.get(name) or {}):
            cls = find_class(DATASETS, dataset.get("type"))
            if getattr(cls, "writes_own_folder", False):
                continue
            root = dataset.get("data_root")
            prefix = dataset.get("data_prefix") or ""
            prefixes = prefix.values() if isinstance(prefix, Mapping) else [prefix]
            for prefix in ["", *prefixes]:
                path = os.path.join(root or "", prefix or "")
                if not path or "://" in path:
                    continue
                folder = Path(path)  # the dataset takes "~" for a name, too
                if not folder.is_dir() or not any(folder.iterdir()):
                    state = "is empty" if folder.is_dir() else "does not exist"
                    raise InputError(
                        f"the folder {str(folder)!r} of {name} {state}; put the "
                        "dataset there (tools/misc/download_dataset.py), link it, or "
                        f"set {name}.dataset.data_root"
                    )


def iter_datasets(node) -> Iterator[ConfigDict]:
    """Yields the dataset configs in a dataloader config, inside any wrappers."""
    if isinstance(node, Mapping):
        if {"data_root", "data_prefix", "ann_file"} & node.keys():
            yield node  # type: ignore[misc]
        for key in ("dataset", "datasets"):
            yield from iter_datasets(node.get(key))
    elif isinstance(node, list | tuple):
        for child in node:
            yield from iter_datasets(child)
