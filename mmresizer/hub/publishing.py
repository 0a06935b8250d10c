"""Publishing of checkpoints in the model zoo."""

import ast
import hashlib
import io
import json
import re
import shutil
from datetime import date, datetime
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor

from mmresizer.config.building import build_model
from mmresizer.config.loading import load_config
from mmresizer.models.utils import check_weights, load_checkpoint
from mmresizer.utils import InputError
from mmresizer.utils.files import write_atomically
from mmresizer.utils.machine import describe_machine

from .metafiles import add_weights, check_entry

FOLDER = "checkpoints"
# Task -> name of each metric in the log, its name in metafiles, and its decimals.
_TASKS = {
    "Image Classification": [("accuracy/top1", "Top 1 Accuracy", 1)],
    "Image Quality Assessment": [
        ("iqa/SRCC", "SRCC", 3),
        ("iqa/PLCC", "PLCC", 3),
        ("iqa/EMD", "EMD", 3),
    ],
    "Object Detection": [("coco/bbox_mAP", "box AP", 3)],
    "Semantic Segmentation": [("mIoU", "mIoU", 2)],
}
# The settings that a result depends on; it does not on folders, seeds and logs.
_SETTINGS = (
    "model",
    "data_preprocessor",
    "optim_wrapper",
    "param_scheduler",
    "train_cfg",
    "custom_hooks",
    "load_from",
    "train_dataloader.batch_size",
    "train_dataloader.batch_sampler",
    "train_dataloader.dataset",
    "val_dataloader.dataset",
)
# The folder of the data makes no difference.
_PLACES = ("data_root",)


def publish_model(
    config: str, checkpoint: str, root: Path, machine: str | None = None
) -> dict[str, Path]:
    """Puts the weights of a finished training run into the model zoo.

    Optimizer, schedule and messages are left out. With an exponential moving average
    the averaged weights are published alone. Beside the weights,
    ``CONFIG_DATE-DIGEST.pth``, lie the log of the run and, if it has parameters, the
    resizer alone. The metafile gets what :func:`add_weights` writes. Files of an older
    run of the config are removed.

    Args:
        config (str): A file of ``configs/``.
        checkpoint (str): Checkpoint of the last epoch, in the folder where
            ``tools/train.py`` saved it, beside the log.
        root (Path): Root of the repository.
        machine (str, optional): Where the model was trained. Defaults to this machine.

    Returns:
        dict[str, Path]: "weights", "log" and perhaps "resizer".

    Raises:
        InputError: If the checkpoint does not fit the config, was trained with other
            settings, is not that of the last epoch, or has no log.
    """
    path = Path(config).resolve()
    if path.parent.parent != (root / "configs").resolve():
        raise InputError(
            f"the config {config!r} must be one of the zoo, configs/FAMILY/NAME.py"
        )
    cfg = load_config(config)
    check_entry(path)
    saved = load_checkpoint(checkpoint)
    state: dict[str, Tensor] = saved["state_dict"]
    check_weights(build_model(cfg), state, f"the checkpoint {checkpoint!r}")
    meta, day = _check_run(saved, cfg, checkpoint)
    log = _find_log(checkpoint, meta)
    task, metrics = _last_metrics(log, cfg.train_cfg.max_epochs)

    facts: dict[str, Any] = dict(
        config=path.stem, seed=meta["seed"], epoch=meta["epoch"]
    )
    if meta.get("dataset_meta"):
        facts["dataset_meta"] = meta["dataset_meta"]

    folder = root / FOLDER
    folder.mkdir(exist_ok=True)
    stamp = f"{day:%Y%m%d}"
    files = {"weights": _save(folder, f"{path.stem}_{stamp}", state, facts)}
    resizer = {
        name.rpartition("resizer.")[2]: value
        for name, value in state.items()
        if "resizer." in name
    }
    if resizer:
        files["resizer"] = _save(folder, f"{path.stem}_resizer_{stamp}", resizer, facts)
    files["log"] = files["weights"].with_suffix(".json")
    shutil.copyfile(log, files["log"])
    machine = machine or describe_machine(
        "cuda" if torch.cuda.is_available() else "cpu"
    )
    measured = f"seed {meta['seed']}; {machine}, torch {torch.__version__}, {day}"
    origin = cfg.get("load_from") or "random weights"
    trained = f"{meta['epoch']} epochs from {origin}, seed {meta['seed']}"
    add_weights(root, path, files, task, metrics, measured, trained)
    # At the end: if anything fails before, the files in the metafile are still there.
    ours = re.compile(re.escape(path.stem) + r"(_resizer)?_\d{8}-[0-9a-f]{8}\.\w+")
    for old in folder.iterdir():
        if ours.fullmatch(old.name) and old not in files.values():
            old.unlink()
    return files


def _check_run(saved: dict, cfg: Config, checkpoint: str) -> tuple[dict, date]:
    """Checks the notes in a checkpoint about its run; returns them and the day."""
    meta = saved.get("meta") or {}
    for key, kind in (("cfg", str), ("epoch", int), ("seed", int), ("time", str)):
        if not isinstance(meta.get(key), kind):
            raise InputError(
                f"{checkpoint!r} must be a checkpoint of tools/train.py, but its "
                f"meta.{key} is {meta.get(key)!r}"
            )
    try:
        day = datetime.strptime(meta["time"], "%Y%m%d_%H%M%S").date()
    except ValueError as e:
        raise InputError(
            f"meta.time of {checkpoint!r} must be like 20260131_235959, but is "
            f"{meta['time']!r}"
        ) from e
    ours, theirs = _read_settings(cfg.pretty_text), _read_settings(meta["cfg"])
    for key in _SETTINGS:
        if ours[key] != theirs[key]:
            raise InputError(
                f"{checkpoint!r} was trained with other settings than the config's: "
                f"`{key}` is {_shorten(theirs[key])}, not {_shorten(ours[key])}"
            )
    if meta["epoch"] != cfg.train_cfg.max_epochs:
        raise InputError(
            f"{checkpoint!r} must be that of the last epoch, "
            f"{cfg.train_cfg.max_epochs}, but is of epoch {meta['epoch']}: no epoch is "
            "picked"
        )
    return meta, day


def _read_settings(text: str) -> dict[str, str]:
    """Reads what a result depends on from the text of a config, without running it.

    Raises:
        InputError: If mmengine does not write such a text.
    """
    try:
        tree = ast.parse(text)
    except SyntaxError as e:
        raise InputError(f"meta.cfg must be the text of a config ({e})") from e
    values = {
        statement.targets[0].id: statement.value
        for statement in tree.body
        if isinstance(statement, ast.Assign)
        and isinstance(statement.targets[0], ast.Name)
    }
    settings = {}
    for dotted in _SETTINGS:
        first, *others = dotted.split(".")
        node = values.get(first)
        for key in others:
            keywords = node.keywords if isinstance(node, ast.Call) else []
            node = next((k.value for k in keywords if k.arg == key), None)
        for call in ast.walk(node) if node is not None else ():
            if isinstance(call, ast.Call):
                call.keywords = [k for k in call.keywords if k.arg not in _PLACES]
        settings[dotted] = ast.unparse(node) if node is not None else "None"
    return settings


def _shorten(text: str) -> str:
    return text if len(text) <= 150 else f"{text[:150]}..."


def _find_log(checkpoint: str, meta: dict) -> Path:
    run = str(meta.get("experiment_name"))[-len("20260101_000000") :]
    log = Path(checkpoint).resolve().parent / run / "vis_data" / "scalars.json"
    if not log.is_file():
        raise InputError(
            f"the log of the run, {str(log)!r}, is missing; name the checkpoint in the "
            "folder where tools/train.py saved it"
        )
    return log


def _last_metrics(log: Path, epoch: int) -> tuple[str, dict[str, float]]:
    """Returns the task, and the metrics of the last epoch's validation."""
    try:
        lines = [json.loads(line) for line in log.read_text().splitlines()]
    except ValueError as e:
        raise InputError(f"the log {str(log)!r} must be lines of JSON ({e})") from e
    for line in reversed(lines):
        for task, names in _TASKS.items():
            if names[0][0] in line and line.get("step") == epoch:
                found = [n for n in names if n[0] in line]
                return task, {name: round(line[key], n) for key, name, n in found}
    expected = " or ".join(names[0][0] for names in _TASKS.values())
    raise InputError(f"the log {str(log)!r} has no {expected} of epoch {epoch}")


def _save(folder: Path, stem: str, state: dict[str, Tensor], meta: dict) -> Path:
    """Saves weights under a name that ends with the digest of the file."""
    buffer = io.BytesIO()
    torch.save({"meta": meta, "state_dict": state}, buffer)
    content = buffer.getvalue()
    digest = hashlib.sha256(content).hexdigest()
    path = folder / f"{stem}-{digest[:8]}.pth"
    write_atomically(path, content)
    return path
