"""Models, runs and their data, built from configs."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy

import torch
from mmengine.config import Config
from mmengine.runner import Runner
from torch import nn

from mmresizer.engine import check_same_code
from mmresizer.registry import MODELS, OPTIMIZERS, RUNNERS, enter_scope, find_class
from mmresizer.utils import InputError
from mmresizer.utils.errors import describe_error
from mmresizer.utils.files import make_folder

from .checks import find_task
from .data_checks import USES, check_datasets, explain_failure


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
        InputError: If the Runner does not take a setting of the config, its folder
            cannot be written to, or the processes of the job have different code.
    """
    make_folder(cfg.work_dir)
    with _input_errors(f"the run of {cfg.filename}"):
        own = "runner_type" in cfg
        runner = RUNNERS.build(cfg) if own else Runner.from_cfg(cfg)
    check_same_code()
    return runner


def build_training(runner: Runner, cfg: Config) -> None:
    """Builds the datasets and the optimizer before the Runner starts.

    Raises:
        InputError: If one cannot be built, or :func:`check_datasets` refuses the data.
    """
    build_data(runner, cfg, "train", "val")
    with _input_errors(f"the optimizer of {cfg.filename}"):
        kind = (cfg.optim_wrapper.get("optimizer") or {}).get("type")
        if kind is not None and find_class(OPTIMIZERS, kind) is None:
            raise KeyError(f"{kind!r} is no optimizer of torch or mmengine")
        runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)


def build_data(runner: Runner, cfg: Config, *splits: str) -> None:
    """Builds and checks the datasets of the loops of a Runner.

    Args:
        runner (Runner): The Runner.
        cfg (Config): Its config.
        *splits (str): "train", "val" or "test". Those without a dataloader are passed
            over.

    Raises:
        InputError: If one cannot be built, or :func:`check_datasets` refuses it.
    """
    datasets = {}
    for split in splits:
        dataloader = cfg.get(f"{split}_dataloader")
        if not dataloader:
            continue
        with _input_errors(f"the {USES[split]} loop or its data, of {cfg.filename}"):
            try:
                loop = getattr(runner, f"{split}_loop")
            except InputError:
                raise
            except Exception:
                explain_failure(split, dataloader)
                raise
        datasets[split] = loop.dataloader.dataset
    with _input_errors(f"the checks of the data of {cfg.filename}"):
        check_datasets(cfg, runner.model, datasets)


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
    # The images of other tasks differ in size, so data preprocessors stack them.
    classifies = find_task(cfg) == "classification"
    collate = "default_collate" if classifies else "pseudo_collate"
    for name in ("train_dataloader", "val_dataloader", "test_dataloader"):
        dataloader = cfg.get(name)
        if dataloader is None:
            continue
        dataloader.setdefault("collate_fn", dict(type=collate))
        dataloader.setdefault("pin_memory", torch.cuda.is_available())
        dataloader.setdefault(
            "persistent_workers", dataloader.get("num_workers", 0) > 0
        )
