"""Training of a config."""

import os

import torch
from mmengine.config import Config
from mmengine.model import is_model_wrapper
from mmengine.optim import AmpOptimWrapper
from torch import nn

from mmresizer.analysis.costs import check_input_size
from mmresizer.config.building import (
    build_model,
    build_runner,
    build_training,
    set_dataloader_defaults,
)
from mmresizer.config.checks import check_data, check_settings
from mmresizer.config.data_checks import check_trained_classes
from mmresizer.config.resuming import (
    check_resume,
    check_resumed_settings,
    load_last_checkpoint,
    resume_seed,
)
from mmresizer.config.run_checks import check_training
from mmresizer.engine import (
    PreemptionHook,
    leave_distributed,
    losing_processes,
    setup_distributed,
    use_resumable_loop,
)
from mmresizer.models.utils import check_initial_weights, load_checkpoint
from mmresizer.registry import OPTIM_WRAPPERS, find_class
from mmresizer.utils import InputError


def train_model(cfg: Config, save_at_signals: bool = False) -> nn.Module:
    """Trains the model of a config.

    Faults of the model, of the folders of data and of the checkpoints are found before
    anything is written. Faults of single images are found when they are loaded.

    Args:
        cfg (Config): Config of the Runner. With ``resume=True`` training continues from
            ``load_from`` or, without it, from the last checkpoint in ``work_dir``.
        save_at_signals (bool): Whether SIGTERM and SIGUSR1 end the process with a
            checkpoint; see :class:`mmresizer.engine.PreemptionHook`. Defaults to False.

    Returns:
        nn.Module: The trained model, without the wrapper of a distributed job.

    Raises:
        InputError: If the config, the data or a checkpoint is at fault.
    """
    setup_distributed(cfg)
    set_dataloader_defaults(cfg)
    check_settings(cfg, ("train_dataloader", "train_cfg", "optim_wrapper"), "train")
    kind = cfg.optim_wrapper.get("type")
    amp = find_class(OPTIM_WRAPPERS, kind) is AmpOptimWrapper
    if amp and not torch.cuda.is_available():
        raise InputError(
            "AMP (AmpOptimWrapper) needs a CUDA device, and none is visible; on a CPU "
            "take --amp bfloat16 (mmresizer.BFloat16OptimWrapper)"
        )
    check_data(cfg, "train_dataloader", "val_dataloader")
    model = build_model(cfg)
    check_input_size(cfg)
    if cfg.get("resume"):
        if cfg.load_from:
            resumed = load_checkpoint(cfg.load_from)
        else:
            cfg.load_from, resumed = load_last_checkpoint(cfg.work_dir)
        check_resume(model, cfg.load_from, resumed)
        resume_seed(cfg, resumed)
    elif cfg.get("load_from"):
        check_initial_weights(model, cfg.load_from)
    del model
    runner = build_runner(cfg)
    # Not in the config: it is recorded as it was written, for those who compare.
    runner._train_loop = use_resumable_loop(runner._train_loop)
    is_there = any(isinstance(hook, PreemptionHook) for hook in runner.hooks)
    if save_at_signals and not is_there:
        runner.register_hook(PreemptionHook())
    build_training(runner, cfg)
    trial = check_training(runner, cfg)
    if cfg.get("resume"):
        check_resumed_settings(runner, trial, resumed)
        check_trained_classes(resumed, runner.train_loop.dataloader.dataset)
        del resumed
    try:
        with losing_processes():
            model = runner.train()
    except FileNotFoundError as e:
        if os.path.isdir(cfg.work_dir):
            raise
        raise InputError(f"the work folder {cfg.work_dir!r} is gone") from e
    del runner
    if is_model_wrapper(model):
        model = model.module
    leave_distributed()
    return model
