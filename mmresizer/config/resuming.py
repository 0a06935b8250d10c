"""Checks before a training goes on from a checkpoint."""

import logging
import os
from collections.abc import Container, Sequence
from pathlib import Path

from mmengine.logging import print_log
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import nn

from mmresizer.models.utils import check_trained_weights, load_checkpoint
from mmresizer.utils import InputError

from .run_checks import Schedulers, optimizers

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
    """Checks that training of a model can continue from a checkpoint.

    Raises:
        InputError: If the checkpoint has weights only, or weights of another model.
    """
    absent = {"meta", "message_hub", "optimizer"} - load_checkpoint(path).keys()
    if absent:
        raise InputError(
            f"{path!r} is no training checkpoint (no {', '.join(sorted(absent))}); "
            "to start from its weights, set load_from instead of --resume"
        )
    check_trained_weights(model, path)
    print_log(f"Resume from {path}", logger="current", level=logging.INFO)


def check_resumed_settings(runner: Runner, schedulers: Schedulers, path: str) -> None:
    """Checks that a run is to go on as it began, and says so if nothing is left to do.

    mmengine takes schedules and settings of the optimizer from the checkpoint, whatever
    the config says.

    Args:
        runner (Runner): With its loops and its optimizer built.
        schedulers (dict[str, list[_ParamScheduler]]): Those of the config, by the name
            of the optimizer.
        path (str): A checkpoint that :func:`check_resume` takes.

    Raises:
        InputError: If a setting differs.
    """
    checkpoint = load_checkpoint(path)
    loop, meta = runner.train_loop, checkpoint["meta"]
    unit = "epoch" if isinstance(loop, EpochBasedTrainLoop) else "iter"
    end = getattr(loop, f"max_{unit}s")
    if meta[unit] >= end:
        print_log(
            f"Nothing is left to train: {path} is of {unit} {meta[unit]}, and "
            f"train_cfg.max_{unit}s is {end}",
            logger="current",
            level=logging.WARNING,
        )
        return
    saved = checkpoint.get("param_schedulers") or []
    saved = saved if isinstance(saved, dict) else {"": saved}
    states = checkpoint["optimizer"]
    scheduled = {s.param_name for group in schedulers.values() for s in group}
    for name, wrapper in optimizers(runner).items():
        optimizer = wrapper.optimizer
        ours = schedulers.get(name, [])
        difference = _find_difference(
            "groups of parameters",
            states.get(name, states)["param_groups"],
            optimizer.param_groups,
            [type(optimizer).__name__] * len(optimizer.param_groups),
            ("params", *scheduled),
        ) or _find_difference(
            "schedulers",
            saved.get(name, []),
            [s.state_dict() for s in ours],
            [type(s).__name__ for s in ours],
            _PROGRESS,
        )
        if difference:
            raise InputError(
                f"{difference}; a resumed run keeps its schedule and its optimizer: "
                f"restore it, or start anew from the weights of {path!r}, with "
                "load_from instead of --resume"
            )


def _find_difference(
    what: str,
    saved: Sequence[dict],
    wanted: Sequence[dict],
    names: Sequence[str],
    ignored: Container[str],
) -> str:
    """Says in what the settings of a checkpoint and of a config differ first."""
    if len(saved) != len(wanted):
        return f"the checkpoint has {len(saved)} {what}, the config {len(wanted)}"
    for name, theirs, ours in zip(names, saved, wanted, strict=True):
        for key in ours.keys() & theirs.keys():
            if key not in ignored and theirs[key] != ours[key]:
                cause = " (max_epochs, unless it is set)" if key == "end" else ""
                return (
                    f"{key} of {name}{cause} was {theirs[key]} when the checkpoint was "
                    f"saved, and is {ours[key]} in the config"
                )
    return ""
