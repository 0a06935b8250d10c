"""Checks of a config before a run writes anything."""

import logging
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import torch
from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log
from mmengine.model import BaseTTAModel
from mmengine.registry import init_default_scope
from mmengine.runner import CheckpointLoader, Runner
from mmpretrain.models import BaseClassifier
from torch import Tensor, nn

from mmresizer.models.detectors import ResizerDetector
from mmresizer.registry import MODELS, RUNNERS
from mmresizer.utils import InputError

# Part of the backbone that a checkpoint to start from must hold. Position tables, which
# backbones adapt to the image size while loading, are the reason why it is not all.
_MIN_MATCHING_PART = 0.75

# Datasets that write their folder when it is not there.
_SELF_WRITING = ("mmresizer.TexturedShapes",)


@contextmanager
def _input_errors(what: str) -> Iterator[None]:
    """Turns what goes wrong while something is built from a config into one sentence.

    Builders raise whatever the constructor of a class raises on its arguments.
    """
    try:
        yield
    except (InputError, OSError):
        raise
    except Exception as e:
        reason = " ".join(str(e).split())
        raise InputError(f"cannot build {what} ({type(e).__name__}: {reason})") from e


def build_runner(cfg: Config) -> Runner:
    """Builds the Runner, of mmengine or the one named by ``cfg.runner_type``.

    Raises:
        InputError: If the config has settings that the Runner does not take.
    """
    with _input_errors(f"the run of {cfg.filename}"):
        return RUNNERS.build(cfg) if "runner_type" in cfg else Runner.from_cfg(cfg)


def build_training(runner: Runner, cfg: Config) -> None:
    """Builds the datasets and the optimizer, which the Runner would do when it starts.

    Raises:
        InputError: If one cannot be built, the data has more classes than the head, or
            the folders of training and validation set are of different classes.
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
    """Checks that a test set with one folder a class has all classes of the head.

    Raises:
        InputError: If the test set cannot be built or has more or fewer classes.
    """
    with _input_errors(f"the test loop or its data, of {cfg.filename}"):
        dataset = runner.test_loop.dataloader.dataset
    _check_class_folders(dataset, cfg)


def _check_class_folders(dataset: Any, cfg: Config) -> None:
    """Checks that a dataset with one folder a class has as many as the head.

    A label is the position of the folder: one more or less shifts those behind it.
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
    """Names of the folders that give a dataset its classes; empty for others."""
    return set(getattr(dataset, "folder_to_idx", {}))


def find_task(cfg: Config) -> Literal["classification", "detection"]:
    """Returns what the model of a config is for.

    Raises:
        InputError: If there is no model, or it is for something else.
    """
    model = cfg.get("model")
    if not isinstance(model, dict):
        raise InputError(f"the config {cfg.filename} has no `model`")
    model = model.get("module", model)  # test-time augmentation wraps it
    init_default_scope(cfg.get("default_scope", "mmengine"))
    kind = model.get("type")
    if isinstance(kind, str):
        with MODELS.switch_scope_and_registry(None) as registry:
            cls = registry.get(kind)
    else:
        cls = kind
    if isinstance(cls, type) and issubclass(cls, ResizerDetector):
        return "detection"
    is_classifier = isinstance(cls, type) and issubclass(cls, BaseClassifier)
    if cls is not None and not is_classifier:  # building says what an unknown name is
        raise InputError(
            f"the model of {cfg.filename} must be an image classifier or a "
            f"ResizerDetector, but it is of type {kind!r}"
        )
    return "classification"


def has_mmdet() -> bool:
    """Says whether MMDetection is installed, and mmcv's operators that it needs."""
    return all(find_spec(name) is not None for name in ("mmdet", "mmcv._ext"))


def build_model(cfg: Config) -> nn.Module:
    """Builds the model on its own, to find faults of the config before a run starts.

    The Runner seeds the random numbers and builds its own; this one takes no part in
    it.

    Raises:
        InputError: If the config has no model, it cannot be built, or a distributed run
            without CUDA has a SyncBN layer.
    """
    if cfg.get("model") is None:
        raise InputError(f"the config {cfg.filename} has no `model`")
    init_default_scope(cfg.get("default_scope", "mmengine"))
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
    """Sets what the models need, where the config says nothing."""
    # Images of a detection batch differ in size: the data preprocessor stacks them.
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


def check_data(cfg: Config, *dataloaders: str) -> None:
    """Checks that the folders of the datasets exist and are not empty.

    Args:
        cfg (Config): Config of the Runner.
        *dataloaders (str): Names of the dataloaders that the run will use.

    Raises:
        InputError: If a local folder is missing or empty.
    """
    for name in dataloaders:
        for dataset in _iter_datasets(cfg.get(name) or {}):
            if dataset.get("type") in _SELF_WRITING:
                continue
            root = dataset.get("data_root")
            prefix = dataset.get("data_prefix") or ""
            prefixes = prefix.values() if isinstance(prefix, Mapping) else [prefix]
            for prefix in ["", *prefixes]:
                path = os.path.join(root or "", prefix or "")
                if not path or "://" in path:
                    continue
                folder = Path(path).expanduser()
                if not folder.is_dir() or not any(folder.iterdir()):
                    state = "is empty" if folder.is_dir() else "does not exist"
                    raise InputError(
                        f"the folder {str(folder)!r} of {name} {state}; put the "
                        "dataset there (tools/misc/download_dataset.py), link it, or "
                        f"set {name}.dataset.data_root"
                    )


def _iter_datasets(node) -> Iterator[ConfigDict]:
    """Yields the dataset configs in a dataloader config, inside any wrappers."""
    if isinstance(node, Mapping):
        if "data_root" in node or "data_prefix" in node:
            yield node  # type: ignore[misc]
        for key in ("dataset", "datasets"):
            yield from _iter_datasets(node.get(key))
    elif isinstance(node, list | tuple):
        for child in node:
            yield from _iter_datasets(child)


def load_checkpoint(path: str) -> dict:
    """Loads a checkpoint of weights, or of a training run.

    Args:
        path (str): Local path, ``mmresizer://NAME``, or what else mmengine's loader
            knows.

    Returns:
        dict: The checkpoint, with the weights under "state_dict", by their names
        without the "module." of a wrapper.

    Raises:
        InputError: If it cannot be loaded safely, see :mod:`mmresizer.hub.checkpoints`,
            or has no weights.
    """
    try:
        checkpoint = CheckpointLoader.load_checkpoint(path, "cpu", logger="silent")
    except (InputError, OSError):
        raise
    except Exception as e:  # the loader of a scheme: no such name, a missing package
        reason = " ".join(str(e).split())
        raise InputError(
            f"cannot load the checkpoint {path!r} ({type(e).__name__}: {reason})"
        ) from e
    if isinstance(checkpoint, Mapping):
        entries = checkpoint.get("state_dict", checkpoint)
        weights = {
            name.removeprefix("module."): value
            for name, value in (entries.items() if isinstance(entries, Mapping) else ())
            if isinstance(name, str) and isinstance(value, torch.Tensor)
        }
        if weights:
            return {**checkpoint, "state_dict": weights}
    raise InputError(f"{path!r} has no weights: expected a `state_dict` of tensors")


def check_initial_weights(model: nn.Module, path: str) -> None:
    """Checks that a checkpoint to start training from fits the model's backbone.

    The resizer may be missing and the head may differ, as in any fine-tuning.

    Raises:
        InputError: If the checkpoint cannot be read or is of another architecture.
    """
    weights = load_checkpoint(path)["state_dict"]
    expected = {
        name: value.shape
        for name, value in model.state_dict().items()
        if not name.startswith(("resizer.", "head."))
        and not name.endswith("num_batches_tracked")
    }
    outcome = Counter(
        "missing"
        if name not in weights
        else "equal"
        if weights[name].shape == shape
        else "differs"
        for name, shape in expected.items()
    )
    if outcome["equal"] < _MIN_MATCHING_PART * len(expected):
        raise InputError(
            f"the checkpoint {path!r} is of another architecture: of the backbone's "
            f"{len(expected)} tensors {outcome['equal']} match, {outcome['differs']} "
            f"differ in shape and {outcome['missing']} are missing (weights of a "
            "backbone alone go into model.backbone.init_cfg)"
        )


def check_trained_weights(model: nn.Module, path: str) -> None:
    """Checks that a checkpoint has exactly the weights of the model.

    Raises:
        InputError: If the checkpoint cannot be read or differs from the model.
    """
    check_weights(
        model, load_checkpoint(path)["state_dict"], f"the checkpoint {path!r}"
    )


def check_weights(model: nn.Module, weights: Mapping[str, Tensor], what: str) -> None:
    """Loads weights, which have to be exactly those of the model.

    Args:
        model (nn.Module): The model.
        weights (Mapping[str, Tensor]): By name.
        what (str): Where they are from, for the message.

    Raises:
        InputError: If they differ from the model's.
    """
    target = model.module if isinstance(model, BaseTTAModel) else model
    try:
        missing, unexpected = target.load_state_dict(dict(weights), strict=False)
    except RuntimeError as e:
        faults = [line.strip() for line in str(e).splitlines()[1:] if line.strip()]
    else:
        # Some backbones drop tables from what they load and compute them anew.
        missing = [name for name in missing if name not in weights]
        faults = [
            f"{kind} keys: {', '.join(names)}"
            for kind, names in (("missing", missing), ("unexpected", unexpected))
            if names
        ]
    if faults:
        shown = "; ".join(fault[:200] for fault in faults[:2])
        raise InputError(f"{what} does not fit the model of the config: {shown}")


def find_checkpoint_to_resume(work_dir: str) -> str:
    """Returns the last checkpoint of a training run.

    Raises:
        InputError: If the run has saved none.
    """
    record = Path(work_dir) / "last_checkpoint"
    if not record.is_file():
        raise InputError(
            f"nothing to resume: {work_dir!r} has no checkpoint; start without "
            "--resume, or name a checkpoint"
        )
    saved = record.read_text().strip()
    # The run may have been moved, or started from another folder.
    beside = record.parent / os.path.basename(saved)
    path = saved if os.path.isfile(saved) else str(beside)
    if not os.path.isfile(path):
        raise InputError(
            f"nothing to resume: {saved!r}, named in {str(record)!r}, is gone"
        )
    return path


def check_resume(model: nn.Module, path: str) -> None:
    """Checks that a checkpoint holds a training run of this model.

    Raises:
        InputError: If it has weights only, or weights of another model.
    """
    absent = {"meta", "message_hub", "optimizer"} - load_checkpoint(path).keys()
    if absent:
        raise InputError(
            f"{path!r} is no training checkpoint (no {', '.join(sorted(absent))}); "
            "to start from its weights, set load_from instead of --resume"
        )
    check_trained_weights(model, path)
    print_log(f"Resume from {path}", logger="current", level=logging.INFO)
