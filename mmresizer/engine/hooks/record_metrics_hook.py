"""A record of the metrics that a training run has reached."""

import json
import math
import time
from collections.abc import Sequence
from fnmatch import filter as match_names
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmresizer.registry import HOOKS
from mmresizer.utils.files import write_atomically

_SECONDS_BETWEEN_UPDATES = 0.5


class DivergedError(RuntimeError):
    """The loss of a training run, or a score of its model, is not finite."""


@HOOKS.register_module()
class RecordMetricsHook(Hook):
    """Records the metrics of the last validation, and how far a training run is.

    For a single process. It writes two JSON files into a folder:

    - ``record.json`` after each validation: its metrics by name.
    - ``progress.json``, twice a second: ``iteration`` and ``max_iterations``.

    Args:
        out_dir (str): Folder for the files.
        metrics (Sequence[str]): The metrics to record, such as "coco/bbox_mAP", or
            patterns, such as ``"coco/*_precision"``.
    """

    priority = "VERY_LOW"

    def __init__(self, out_dir: str, metrics: Sequence[str] = ()):
        self.out_dir = Path(out_dir)
        self.metrics = tuple(metrics)
        self._updated = 0.0

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | tuple | list | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Notes the progress.

        Raises:
            DivergedError: If the loss is not finite.
        """
        assert outputs is not None
        loss = float(outputs["loss"].detach())
        if not math.isfinite(loss):
            raise DivergedError(
                f"the loss became {loss} in epoch {runner.epoch + 1}, iteration "
                f"{batch_idx + 1}"
            )
        if time.monotonic() - self._updated > _SECONDS_BETWEEN_UPDATES:
            self._updated = time.monotonic()
            progress = dict(iteration=runner.iter + 1, max_iterations=runner.max_iters)
            write_atomically(self.out_dir / "progress.json", json.dumps(progress))

    def after_val_epoch(
        self, runner: Runner, metrics: dict[str, float] | None = None
    ) -> None:
        """Writes the record, if no metric is missing."""
        found = metrics or {}
        record = {}
        for pattern in self.metrics:
            names = match_names(found, pattern)
            if not names:
                raise RuntimeError(
                    f"the validation gives no {pattern}, as if nothing were predicted"
                )
            record.update({name: found[name] for name in names})
        self._write(record)

    def _write(self, record: dict[str, Any]) -> None:
        write_atomically(self.out_dir / "record.json", json.dumps(record))
