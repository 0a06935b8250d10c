"""Models, runs and their data, built from configs."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
from mmengine.config import Config
from mmengine.runner import Runner
from torch import nn

from mmresizer.registry import MODELS, RUNNERS, enter_scope
from mmresizer.utils import InputError
from mmresizer.utils.errors import describe_error

from .checks import find_task


@contextmanager
def _input_errors(what: str) -> Iterator[None]:
    """Turns any error while something is built from a config into one sentence.

    Constructors may raise anything on their arguments.
    """
    try:
        yield
    except (InputError, OSError):
        raise
    except Exception as e:
        raise InputError(f"cannot build {what} ({describe_error(e)})") from e


def build_runner(cfg: Config) -> Runner:
    """Builds mmengine's Runner, or the one that ``cfg.runner_type`` names.

    Raises:
        InputError: If the Runner does not take a setting of the config.
    """
    with _input_errors(f"the run of {cfg.filename}"):
        return RUNNERS.build(cfg) if "runner_type" in cfg else Runner.from_cfg(cfg)


def build_training(runner: Runner, cfg: Config) -> None:
    """Builds the datasets and the optimizer before the Runner starts.

    Raises:
        InputError: If one cannot be built, the data has more classes than the head, or
            the folders of training and validation hold different classes.
    """
    with _input_errors(f"the training loop or its data, of {cfg.filename}"):
        dataset = runner.train_loop.dataloader.dataset
        val = runner.val_loop.dataloader.dataset if cfg.get("val_dataloader") else None
    with _input_errors(f"the optimizer of {cfg.filename}"):
        runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    classes = getattr(dataset, "metainfo", {}).get("classes")
    num_classes = (cfg.model.get("head") or {}).get("num_classes")
    if classes and num_classes and len(classes) > num_classes:
        raise InputError(
            f"the training data has {len(classes)} classes ({', '.join(classes)}), but "
            f"model.head.num_classes is {num_classes}"
        )
    folders, val_folders = _class_folders(dataset), _class_folders(val)
    if val is not None and folders and val_folders and folders != val_folders:
        raise InputError(
            f"the folders {dataset.img_prefix!r} and {val.img_prefix!r} must hold the "
            f"same classes, but {min(folders ^ val_folders)!r} is in one of them only"
        )
    _check_class_folders(dataset, cfg)


def check_test_classes(runner: Runner, cfg: Config) -> None:
    """Checks that a test set with one folder per class has all classes of the head.

    Raises:
        InputError: If the test set cannot be built or has more or fewer classes.
    """
    with _input_errors(f"the test loop or its data, of {cfg.filename}"):
        dataset = runner.test_loop.dataloader.dataset
    _check_class_folders(dataset, cfg)


def _check_class_folders(dataset: Any, cfg: Config) -> None:
    """Checks that a dataset with one folder per class has as many as the head.

    A label is the position of its folder: an extra or missing folder shifts the labels
    behind it.
    """
    folders = _class_folders(dataset)
    model = cfg.model.get("module", cfg.model)  # test-time augmentation wraps it
    num_classes = (model.get("head") or {}).get("num_classes")
    if folders and num_classes and len(folders) != num_classes:
        raise InputError(
            f"the folder {dataset.img_prefix!r} must hold one folder for each of the "
            f"{num_classes} classes of model.head.num_classes, but holds "
            f"{len(folders)}: {', '.join(sorted(folders))}"
        )


def _class_folders(dataset: object) -> set[str]:
    """Returns the names of the folders that are a dataset's classes, if they are."""
    return set(getattr(dataset, "folder_to_idx", {}))


def build_model(cfg: Config) -> nn.Module:
    """Builds the model alone, to find faults of the config before a run starts.

    The Runner builds its own model later, with its own random numbers.

    Raises:
        InputError: If the config has no model, the model cannot be built, or it has a
            SyncBN layer in a distributed run without CUDA.
    """
    if cfg.get("model") is None:
        raise InputError(f"the config {cfg.filename} has no `model`")
    enter_scope(cfg)
    model_cfg = deepcopy(cfg.model)
    if cfg.get("data_preprocessor") is not None:  # as the Runner does
        model_cfg.setdefault("data_preprocessor", deepcopy(cfg.data_preprocessor))
    with _input_errors(f"the model of {cfg.filename}"):
        model = MODELS.build(model_cfg)
    sync_bn = any(isinstance(m, nn.SyncBatchNorm) for m in model.modules())
    if (
        sync_bn
        and cfg.get("launcher", "none") != "none"
        and not torch.cuda.is_available()
    ):
        raise InputError(
            "the model has SyncBN layers, which need CUDA devices and none is visible; "
            "use norm_cfg type='BN' on CPUs"
        )
    return model


def set_dataloader_defaults(cfg: Config) -> None:
    """Sets what the models need where the config says nothing."""
    # The images of a detector differ in size, so its data preprocessor stacks them.
    collate = "pseudo_collate" if find_task(cfg) == "detection" else "default_collate"
    for name in ("train_dataloader", "val_dataloader", "test_dataloader"):
        dataloader = cfg.get(name)
        if dataloader is None:
            continue
        dataloader.setdefault("collate_fn", dict(type=collate))
        dataloader.setdefault("pin_memory", torch.cuda.is_available())
        dataloader.setdefault(
            "persistent_workers", dataloader.get("num_workers", 0) > 0
        )
