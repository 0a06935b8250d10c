"""Checks before a training goes on from a checkpoint."""

import logging
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import nn

from mmresizer.engine import ResizerOptimizerHook
from mmresizer.engine.loops import BATCHES_PER_EPOCH
from mmresizer.models.utils import check_weights, load_checkpoint
from mmresizer.utils import InputError

from .run_checks import Trial

# Of an optimizer; others may be what it has learned, such as DAdaptation's.
_SETTINGS = {"lr", "weight_decay", "momentum", "betas", "nesterov", "eps", "amsgrad"}

# What mmengine's CheckpointHook and our PreemptionHook call them.
_CHECKPOINT = re.compile(r"(epoch|iter)_(\d+)(?:_iter_(\d+))?\.pth")

_REMEDY = (
    "a resumed run keeps its schedule and its optimizers: restore it, or start anew "
    "from the weights, with load_from instead of --resume"
)

# What changes in a scheduler while it works.
_PROGRESS = (
    "last_step",
    "_global_step",
    "_last_value",
    "best",
    "cooldown_counter",
    "num_bad_epochs",
    "verbose",
)


def load_last_checkpoint(work_dir: str) -> tuple[str, dict]:
    """Loads the last complete checkpoint of a training run.

    If the last one is gone or damaged, as when the machine stopped while it was
    written, it is the one before, with a warning.

    Returns:
        tuple[str, dict]: Path, and what was saved.

    Raises:
        InputError: If the run has saved none, or none that is complete.
    """
    record = Path(work_dir) / "last_checkpoint"
    saved = record.read_text().strip() if record.is_file() else ""
    if saved:
        # The run may have been moved, or started from another folder.
        beside = record.parent / os.path.basename(saved)
        last = beside if beside.is_file() else Path(saved)
        paths = [str(last), *_list_others(last.parent, last.name)]
    else:
        paths = _list_others(record.parent)
    if not paths:
        raise InputError(
            f"nothing to resume: {work_dir!r} has no checkpoint; start without "
            "--resume, or name a checkpoint"
        )
    faults = []
    for path in paths:
        try:
            if not os.path.isfile(path):
                raise InputError(f"{saved!r}, named in {str(record)!r}, is gone")
            checkpoint = load_checkpoint(path)
        except InputError as e:
            faults.append(str(e))
            continue
        if faults:
            print_log(
                f"{_join(faults)}; the run goes on from {path!r} instead",
                logger="current",
                level=logging.WARNING,
            )
        return path, checkpoint
    raise InputError(f"nothing to resume: {_join(faults)}")


def _join(faults: Sequence[str]) -> str:
    """Returns the first fault, and how many others there are."""
    others = len(faults) - 1
    return faults[0] + (f", and so are {others} before it" if others else "")


def _list_others(folder: Path, last: str = "") -> list[str]:
    """Returns the checkpoints in a folder before the last one, latest first.

    If that is gone, there may be later ones: a run deletes an old one before it notes
    the name of the new one.
    """
    end = _CHECKPOINT.fullmatch(last)
    is_gone = not (folder / last).is_file()
    numbered = [
        (_number(match), str(path))
        for path in folder.glob("*.pth")
        if (match := _CHECKPOINT.fullmatch(path.name))
        and (not end or match[1] == end[1])
    ]
    return [
        path
        for number, path in sorted(numbered, reverse=True)
        if not end or is_gone or number < _number(end)
    ]


def _number(name: re.Match) -> tuple[int, int]:
    """Returns what the checkpoints of a unit are sorted by."""
    return int(name[2]), int(name[3] or 0)


def check_resume(model: nn.Module, path: str, checkpoint: dict) -> None:
    """Checks that training of a model can continue from a checkpoint.

    Raises:
        InputError: If the checkpoint has weights only, or weights of another model.
    """
    absent = {"meta", "message_hub", "optimizer"} - checkpoint.keys()
    if absent:
        raise InputError(
            f"{path!r} is no training checkpoint (no {', '.join(sorted(absent))}); "
            "to start from its weights, set load_from instead of --resume"
        )
    check_weights(model, checkpoint["state_dict"], f"the checkpoint {path!r}")
    print_log(f"Resume from {path}", logger="current", level=logging.INFO)


def resume_seed(cfg: Config, checkpoint: dict) -> None:
    """Sets the seed of a config to that of the run that goes on."""
    seed = checkpoint["meta"].get("seed")
    asked = cfg.setdefault("randomness", dict(seed=None)).get("seed")
    if seed is None or seed == asked:
        return
    if asked is not None:
        print_log(
            f"a resumed run keeps its seed, {seed}; {asked} is not taken",
            logger="current",
            level=logging.WARNING,
        )
    cfg.randomness.seed = seed


def check_resumed_settings(runner: Runner, trial: Trial, checkpoint: dict) -> None:
    """Checks that a run is to go on as it began, and says so if nothing is left to do.

    mmengine takes schedules and settings of the optimizer from the checkpoint, whatever
    the config says.

    Args:
        runner (Runner): With its loops built.
        trial (Trial): Optimizers and schedulers of the config.
        checkpoint (dict): What was saved.

    Raises:
        InputError: If a setting differs.
    """
    loop, meta = runner.train_loop, checkpoint["meta"]
    unit = "epoch" if isinstance(loop, EpochBasedTrainLoop) else "iter"
    end = getattr(loop, f"max_{unit}s")
    if meta[unit] >= end:
        print_log(
            f"Nothing is left to train: the checkpoint is of {unit} {meta[unit]}, and "
            f"train_cfg.max_{unit}s is {end}",
            logger="current",
            level=logging.WARNING,
        )
        return
    batches = meta.get(BATCHES_PER_EPOCH)
    # ResumableEpochLoop makes the schedules anew, and scales the rate as it is told.
    is_of_other_length = batches not in (None, len(loop.dataloader))
    saved = checkpoint.get("param_schedulers") or []
    saved = saved if isinstance(saved, dict) else {"": saved}
    states = checkpoint["optimizer"]
    for name, optimizer in trial.optimizers.items():
        ours = trial.schedulers.get(name, [])
        scheduled = {scheduler.param_name for scheduler in ours}
        if is_of_other_length:
            scheduled.add("lr")
        if "momentum" in scheduled:
            scheduled.add("betas")  # what it is called in Adam
        optimizer_name = type(optimizer).__name__
        difference = _find_difference(
            "groups of parameters",
            states.get(name, states)["param_groups"],
            optimizer.param_groups,
            [optimizer_name] * len(optimizer.param_groups),
            (_SETTINGS - scheduled).__contains__,
        ) or _find_difference(
            "schedulers",
            saved.get(name, []),
            [scheduler.state_dict() for scheduler in ours],
            [type(scheduler).__name__ for scheduler in ours],
            lambda key: key not in _PROGRESS and not is_of_other_length,
        )
        if difference:
            raise InputError(f"{difference}; {_REMEDY}")
    hooks = [hook for hook in runner.hooks if isinstance(hook, ResizerOptimizerHook)]
    wanted = hooks[0].settings if hooks else None
    began = checkpoint.get(ResizerOptimizerHook.SETTINGS)
    if began != wanted:
        raise InputError(
            f"the resizer's own optimizer was {began or 'none'} when the checkpoint "
            f"was saved, and is {wanted or 'none'} in the config; {_REMEDY}"
        )


def _find_difference(
    what: str,
    saved: Sequence[dict],
    wanted: Sequence[dict],
    names: Sequence[str],
    is_setting: Callable[[str], bool],
) -> str:
    """Says in what the settings of a checkpoint and of a config differ first."""
    if len(saved) != len(wanted):
        return f"the checkpoint has {len(saved)} {what}, the config {len(wanted)}"
    for name, *states in zip(names, saved, wanted, strict=True):
        theirs, ours = ({k: v for k, v in s.items() if is_setting(k)} for s in states)
        if others := theirs.keys() ^ ours.keys():
            return (
                f"the checkpoint has {what} of another type than the config's {name} "
                f"(one of them has no {min(others)})"
            )
        for key in ours:
            if theirs[key] != ours[key]:
                cause = " (max_epochs, unless it is set)" if key == "end" else ""
                return (
                    f"{key} of {name}{cause} was {theirs[key]} when the checkpoint was "
                    f"saved, and is {ours[key]} in the config"
                )
    return ""
