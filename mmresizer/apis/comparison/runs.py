"""The single training runs of a comparison, each with a folder of its own."""

import hashlib
import json
import sys
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmresizer.utils import InputError
from mmresizer.utils.files import write_atomically

STAGE1 = "stage1"
WEIGHTS = "weights.pth"
LOG = "log.txt"
RECORD = "record.json"
_PROGRESS = "progress.json"
_RESULT = "run.json"


@dataclass(frozen=True, eq=False)
class Run:
    """One training run.

    Attributes:
        arm (str): Name of the arm, or "stage1".
        seed (int): Random seed.
        folder (Path): For its config, log, record and weights.
        cfg (Config): Config of the training, without seed and folder.
        parent (Run, optional): The run whose weights it starts from.
        checkpoint (str, optional): The file of weights that it starts from.
        checkpoint_digest (str): SHA-256 of that file.
    """

    arm: str
    seed: int
    folder: Path
    cfg: Config
    parent: "Run | None" = None
    checkpoint: str | None = None
    checkpoint_digest: str = ""

    @property
    def title(self) -> str:
        """The run in words."""
        return f"{self.arm}, seed {self.seed}"

    @property
    def epochs(self) -> int:
        """Number of epochs."""
        return self.cfg.train_cfg.max_epochs

    @cached_property
    def fingerprint(self) -> str:
        """Digest of what decides the result, but for machine and versions."""
        origin = self.parent.fingerprint if self.parent else self.checkpoint_digest
        settings = json.dumps(self.cfg.to_dict(), sort_keys=True, default=str)
        text = "\n".join([settings, str(self.seed), origin])
        return hashlib.sha256(text.encode()).hexdigest()

    def result(self) -> dict[str, Any] | None:
        """Returns how the run ended, or None.

        Raises:
            InputError: If the folder holds a run of another config, seed or origin, or
                the weights are gone.
        """
        path = self.folder / _RESULT
        if not path.is_file():
            return None
        result = json.loads(path.read_text())
        if result["fingerprint"] != self.fingerprint:
            raise InputError(
                f"{str(self.folder)!r} holds a run of another spec (its config or the "
                "weights that it started from differ); take another --work-dir, or "
                "delete that folder"
            )
        weights = self.folder / WEIGHTS
        if result["status"] == "finished" and not weights.is_file():
            raise InputError(
                f"{str(weights)!r} is missing, though the run has finished; put it "
                f"back, or delete {str(self.folder)!r} to train it again"
            )
        return result

    def settled_result(self) -> dict[str, Any] | None:
        """Returns how the run ended if another try would end in the same way."""
        result = self.result()
        settled = result is not None and result["status"] in ("finished", "diverged")
        return result if settled else None

    def progress(self) -> float:
        """Returns the part of the training that is done, from 0 to 1."""
        try:
            progress = json.loads((self.folder / _PROGRESS).read_text())
        except (OSError, ValueError):
            return 0.0
        return progress["iteration"] / progress["max_iterations"]

    def prepare(self) -> list[str]:
        """Makes the folder ready.

        Returns:
            list[str]: The command that trains, in a process of its own.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in (_RESULT, RECORD, _PROGRESS, WEIGHTS):
            (self.folder / name).unlink(missing_ok=True)
        cfg = deepcopy(self.cfg)
        cfg.work_dir = str(self.folder)
        cfg.setdefault("randomness", {})["seed"] = self.seed
        if self.parent is not None:
            cfg.load_from = str(self.parent.folder / WEIGHTS)
        elif self.checkpoint is not None:
            cfg.load_from = self.checkpoint
        # With worker processes the random numbers of the images are the workers' own,
        # and the same for all arms; the model draws from the main process.
        loader = cfg.train_dataloader
        loader.num_workers = max(1, loader.get("num_workers", 0))
        loader.persistent_workers = True
        cfg.custom_hooks = [
            *(cfg.get("custom_hooks") or []),
            dict(type="mmresizer.RecordRunHook", out_dir=str(self.folder)),
        ]
        hooks = cfg.setdefault("default_hooks", {})
        hooks.pop("resizer", None)  # pictures, which nobody would look at
        hooks["checkpoint"] = dict(
            type="CheckpointHook",
            interval=self.epochs,
            by_epoch=True,
            save_optimizer=False,
            save_param_scheduler=False,
        )
        cfg.train_cfg.val_interval = 1
        cfg.dump(str(self.folder / "config.py"))
        module = "mmresizer.apis.comparison.worker"
        return [sys.executable, "-m", module, str(self.folder), self.fingerprint]

    def end(self, status: str, reason: str = "", **numbers: Any) -> dict[str, Any]:
        """Notes how the run ended, as far as the disk allows.

        Args:
            status (str): "finished", "diverged" or "failed".
            reason (str): Why, unless it has finished.
            **numbers (Any): What is to be kept beside.

        Returns:
            dict[str, Any]: The result.
        """
        return end_run(self.folder, self.fingerprint, status, reason, **numbers)


def end_run(
    folder: Path, fingerprint: str, status: str, reason: str = "", **numbers: Any
) -> dict[str, Any]:
    """See :meth:`Run.end`."""
    result = dict(fingerprint=fingerprint, status=status, reason=reason, **numbers)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / _RESULT, json.dumps(result))
    except OSError:
        if status == "finished":
            raise
    return result
