"""Checks of what a run was built of, before it starts.

What fails here would fail after the first epoch, or not at all.
"""

from collections.abc import Callable
from copy import deepcopy
from inspect import signature
from typing import Any, NamedTuple

from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.hooks import CheckpointHook
from mmengine.optim import OptimWrapper, OptimWrapperDict, _ParamScheduler
from mmengine.runner import Runner
from mmpretrain.evaluation import Accuracy
from torch import nn
from torch.optim import Optimizer

from mmresizer.utils import InputError
from mmresizer.utils.errors import check_int, check_keys, describe_error

from .data_checks import find_heads


class Trial(NamedTuple):
    """Optimizers and schedulers such as a run will have, but of no effect.

    Both are by the name of the optimizer, which is "" if there is but one.

    Attributes:
        optimizers (dict[str, Optimizer]): With scaled learning rates.
        schedulers (dict[str, list[_ParamScheduler]]): Theirs.
    """

    optimizers: dict[str, Optimizer]
    schedulers: dict[str, list[_ParamScheduler]]


def check_training(runner: Runner, cfg: Config) -> Trial:
    """Checks loops, metrics, hooks and the clipping of gradients of a training.

    Args:
        runner (Runner): With its loops and its optimizer built.
        cfg (Config): Its config.

    Returns:
        Trial: Optimizers and schedulers such as the run will have.

    Raises:
        InputError: If one of them is at fault, or a scheduler cannot be built.
    """
    loader = runner.train_dataloader
    if len(loader) == 0:
        raise InputError(
            f"the training data has {len(loader.dataset)} images per process or fewer, "
            f"which is no batch of {loader.batch_size} with drop_last=True"
        )
    if runner.val_loop:
        check_int("train_cfg.val_interval", runner.train_loop.val_interval, 1)
    check_topk(cfg, runner.model, runner.val_loop and runner.val_evaluator)
    for hook in runner.hooks:
        if isinstance(hook, CheckpointHook):  # it hands what it does not know on
            taken = {*_names(CheckpointHook.__init__), *_names(Runner.save_checkpoint)}
            check_keys("the CheckpointHook", hook.args, sorted(taken))
    for wrapper in _wrappers(runner.optim_wrapper).values():
        if clip := wrapper.clip_grad_kwargs:
            check_keys("optim_wrapper.clip_grad", clip, _names(wrapper.clip_func))
    return _try(runner)


def check_topk(cfg: Config, model: nn.Module, evaluator: Evaluator | None) -> None:
    """Checks that no top-k accuracy is of more classes than there are.

    Raises:
        InputError: If one is.
    """
    num_classes = min(find_heads(cfg, model).values(), default=None)
    if num_classes is None:
        return
    asked: list[tuple[str, Any]] = [
        ("the metric Accuracy", metric)
        for metric in (evaluator.metrics if evaluator else ())
        if isinstance(metric, Accuracy)
    ]
    asked += [
        ("model.head", module)
        for module in model.modules()
        if getattr(module, "cal_acc", False)
    ]
    for where, part in asked:
        if (k := max(part.topk)) > num_classes:
            raise InputError(
                f"the topk of {where} must be at most the number of classes, "
                f"{num_classes}, got {k}"
            )


def _wrappers(wrapper: OptimWrapper) -> dict[str, OptimWrapper]:
    return dict(wrapper) if isinstance(wrapper, OptimWrapperDict) else {"": wrapper}


def _names(function: Callable) -> list[str]:
    """Returns the names of a function's arguments, but for the first one."""
    return [
        name
        for name, parameter in [*signature(function).parameters.items()][1:]
        if parameter.kind is not parameter.VAR_KEYWORD
    ]


def _try(runner: Runner) -> Trial:
    """Builds the schedulers for copies of the optimizers.

    A scheduler changes its optimizer, and the Runner scales the learning rate first.
    """
    own = runner.optim_wrapper
    shared = {id(p): p for p in runner.model.parameters()}
    copy = runner.optim_wrapper = deepcopy(own, shared)
    try:
        runner.scale_lr(copy, runner.auto_scale_lr)
        built = {}
        if runner.param_schedulers is not None:
            built = runner.build_param_scheduler(deepcopy(runner.param_schedulers))
    except Exception as e:  # constructors may raise anything
        raise InputError(f"cannot build param_scheduler ({describe_error(e)})") from e
    finally:
        runner.optim_wrapper = own
    return Trial(
        {name: wrapper.optimizer for name, wrapper in _wrappers(copy).items()},
        built if isinstance(built, dict) else {"": built},
    )
