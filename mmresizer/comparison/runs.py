"""The single training runs of a comparison, each with a folder of its own."""

import hashlib
import json
import os
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmresizer.models.utils import digest_weights, load_checkpoint
from mmresizer.utils import InputError
from mmresizer.utils.files import file_digest, write_atomically

STAGE1 = "stage1"
WEIGHTS = "weights.pth"
LOG = "log.txt"
RECORD = "record.json"
_PROGRESS = "progress.json"
_RESULT = "run.json"


@dataclass(frozen=True, eq=False)
class Run:
    """One training run, of a classifier.

    Subclasses say what is different for other models.

    Attributes:
        arm (str): Name of the arm, or "stage1".
        seed (int): Seed of the comparison.
        folder (Path): For its config, log, record and weights.
        cfg (Config): Config of the training, without seed and folder.
        parent (Run, optional): The run whose weights it starts from.
        checkpoint (str, optional): The file of weights that it starts from.
    """

    arm: str
    seed: int
    folder: Path
    cfg: Config
    parent: "Run | None" = None
    checkpoint: str | None = None

    @property
    def title(self) -> str:
        """The run in words."""
        return f"{self.arm}, seed {self.seed}"

    @property
    def recorder(self) -> dict[str, Any]:
        """Config of the hook that writes what the run has reached."""
        return dict(type="mmresizer.RecordRunHook")

    @property
    def epochs(self) -> int:
        """Number of epochs."""
        return self.cfg.train_cfg.max_epochs

    @property
    def first_validation(self) -> int:
        """The epoch after which it is validated, as after each one that follows."""
        return 1

    @property
    def random_seed(self) -> int:
        """Seed of the random numbers, the same for all arms.

        mmengine adds the number of the epoch, or of a worker, to it. Those of different
        seeds and of stage 1 are far apart, so that none repeats the numbers of another.
        """
        text = f"{self.seed} {'stage 1' if self.arm == STAGE1 else 'arm'}"
        return int(hashlib.sha256(text.encode()).hexdigest()[:7], 16)

    @cached_property
    def fingerprint(self) -> str:
        """Digest of what decides the result, but for machine and versions."""
        settings = self.cfg.to_dict()
        facts = [json.dumps(settings, sort_keys=True, default=str), str(self.seed)]
        origin = self.checkpoint or settings.get("load_from")
        named = named_weights({**settings, "load_from": origin})
        facts += [file_digest(path) for path in named if os.path.isfile(path)]
        facts += [self.parent.fingerprint] if self.parent else []
        return hashlib.sha256("\n".join(facts).encode()).hexdigest()

    def result(self) -> dict[str, Any] | None:
        """Returns how the run ended; None if it has to be trained.

        Raises:
            InputError: If the folder holds a run of another config, seed or origin that
                has finished or diverged, or the weights are gone.
        """
        path = self.folder / _RESULT
        if not path.is_file():
            return None
        try:
            result = json.loads(path.read_text())
            fingerprint = result["fingerprint"]
        except (ValueError, KeyError, TypeError) as e:
            raise InputError(
                f"{str(path)!r} is damaged; delete {str(self.folder)!r}, and the same "
                "command repeats that run"
            ) from e
        if fingerprint != self.fingerprint:
            if result["status"] == "failed":  # maybe of what is mended now
                return None
            raise InputError(
                f"{str(self.folder)!r} holds a run of another spec or config (its "
                "settings or the weights that it started from differ); take another "
                "--work-dir, or delete that folder"
            )
        if result["status"] != "finished":
            return result
        weights = self.folder / WEIGHTS
        if not weights.is_file():
            raise InputError(
                f"{str(weights)!r} is missing, though the run has finished; put it "
                f"back, or delete {str(self.folder)!r}, and the same command repeats it"
            )
        if self.parent is not None:
            origin = self.parent.result()
            # It has to be trained again, and may come out the same.
            if origin is None or origin["status"] != "finished":
                return None
            if origin["weights"] != result["origin"]:
                raise InputError(
                    f"{str(self.folder)!r} was trained from other weights than those "
                    f"of {str(self.parent.folder)!r}; put these back, take another "
                    "--work-dir, or delete its folder, and the same command repeats it"
                )
        return result

    def check(self) -> None:
        """Checks what an earlier call has left, before anything is trained.

        Raises:
            InputError: See :meth:`result`; or if weights from which others start have
                changed.
        """
        result = self.result()
        if self.arm != STAGE1 or result is None or result["status"] != "finished":
            return
        weights = self.folder / WEIGHTS
        try:
            digest = weights_digest(str(weights))
        except InputError:
            digest = "damaged"
        if digest != result["weights"]:
            raise InputError(
                f"{str(weights)!r} does not have the weights that the run has saved; "
                f"put these back, or delete {str(self.folder)!r}, and the same command "
                "repeats it"
            )

    def settled_result(self) -> dict[str, Any] | None:
        """Returns how the run ended if another try would end in the same way."""
        result = self.result()
        settled = result is not None and result["status"] in ("finished", "diverged")
        return result if settled else None

    def describe(self, result: dict[str, Any]) -> str:
        """Returns what a finished run has reached, in words."""
        return f"top-1 {result['top1'][-1]:.1f} %"

    def progress(self) -> float:
        """Returns the part of the training that is done, from 0 to 1."""
        try:
            progress = json.loads((self.folder / _PROGRESS).read_text())
        except (OSError, ValueError):
            return 0.0
        return progress["iteration"] / progress["max_iterations"]

    def prepare(self) -> None:
        """Makes the folder ready for :func:`train_run`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in (_RESULT, RECORD, _PROGRESS, WEIGHTS):
            (self.folder / name).unlink(missing_ok=True)
        cfg = deepcopy(self.cfg)
        cfg.work_dir = str(self.folder)
        cfg.resume = False
        cfg.randomness = {**(cfg.get("randomness") or {}), "seed": self.random_seed}
        if self.parent is not None:
            cfg.load_from = str(self.parent.folder / WEIGHTS)
        elif self.checkpoint is not None:
            cfg.load_from = self.checkpoint
        cfg.custom_hooks = [
            *(cfg.get("custom_hooks") or []),
            dict(self.recorder, out_dir=str(self.folder)),
        ]
        hooks = dict(cfg.get("default_hooks") or {})
        hooks.pop("resizer", None)  # pictures, which nobody would look at
        hooks["checkpoint"] = dict(
            type="CheckpointHook",
            interval=self.epochs,
            by_epoch=True,
            save_optimizer=False,
            save_param_scheduler=False,
        )
        cfg.default_hooks = hooks
        cfg.train_cfg.update(val_begin=self.first_validation, val_interval=1)
        cfg.train_cfg.pop("dynamic_intervals", None)
        # Unformatted: mmengine's formatter takes Ctrl-C for an error of syntax.
        plain = Config(cfg.to_dict(), format_python_code=False)
        write_atomically(self.folder / "config.py", plain.pretty_text)

    def end(self, status: str, reason: str = "") -> dict[str, Any]:
        """Notes how the run ended, as far as the disk allows; see :func:`end_run`."""
        return end_run(self.folder, self.fingerprint, status, reason)


def end_run(
    folder: Path, fingerprint: str, status: str, reason: str = "", **numbers: Any
) -> dict[str, Any]:
    """Notes how a run ended.

    Args:
        folder (Path): Of the run.
        fingerprint (str): Of the run.
        status (str): "finished", "diverged" or "failed".
        reason (str): Why, unless it has finished.
        **numbers (Any): What is to be kept beside.

    Returns:
        dict[str, Any]: The result.

    Raises:
        OSError: If the result of a finished run cannot be written.
    """
    result = dict(fingerprint=fingerprint, status=status, reason=reason, **numbers)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / _RESULT, json.dumps(result))
    except OSError:
        if status == "finished":
            raise
    return result


def weights_digest(path: str) -> str:
    """Returns a digest of the tensors in a checkpoint, whatever else it notes.

    Raises:
        InputError: If it cannot be loaded.
    """
    return digest_weights(load_checkpoint(path)["state_dict"])


def named_weights(settings: Any) -> Iterator[str]:
    """Yields what a config names as weights: local paths, and addresses with "://"."""
    if isinstance(settings, dict):
        for key, value in settings.items():
            if key in ("load_from", "checkpoint") and isinstance(value, str):
                yield os.path.expanduser(value)
            else:
                yield from named_weights(value)
    elif isinstance(settings, list | tuple):
        for value in settings:
            yield from named_weights(value)
