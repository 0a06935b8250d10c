"""A record of a training run that a comparison can be made from."""

import json
import time
import zlib
from pathlib import Path

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmresizer.registry import HOOKS
from mmresizer.utils.files import write_atomically

_SECONDS_BETWEEN_UPDATES = 0.5


class DivergedError(RuntimeError):
    """The loss of a training run is not finite."""


@HOOKS.register_module()
class RecordRunHook(Hook):
    """Records the accuracy after each epoch, image by image, and the data it saw.

    For classifiers, in a single process. It writes two JSON files into a folder:

    - ``record.json`` after each validation: lists with an item an epoch, ``top1``
      (percent), ``loss`` (mean of the training iterations) and ``data`` (checksum of
      all training images and labels so far, in their order), and ``correct``, a
      character of "0" or "1" for each image of the last validation.
    - ``progress.json``, twice a second: ``iteration`` and ``max_iterations``.

    Args:
        out_dir (str): Folder for the files.
    """

    priority = "VERY_LOW"

    def __init__(self, out_dir: str):
        self.out_dir = Path(out_dir)
        self._top1: list[float] = []
        self._loss: list[float] = []
        self._data: list[str] = []
        self._correct: list[bool] = []
        self._losses: list[float] = []
        self._checksum = 0
        self._updated = 0.0

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | tuple | list | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Notes the loss and the images.

        Raises:
            DivergedError: If the loss is not finite.
        """
        assert isinstance(data_batch, dict)
        assert outputs is not None
        loss = float(outputs["loss"])
        if not torch.isfinite(torch.tensor(loss)):
            raise DivergedError(
                f"the loss became {loss} in epoch {runner.epoch + 1}, iteration "
                f"{batch_idx + 1}"
            )
        self._losses.append(loss)
        for tensor in (*data_batch["inputs"], *_labels(data_batch["data_samples"])):
            self._checksum = zlib.crc32(tensor.cpu().numpy().tobytes(), self._checksum)
        if time.monotonic() - self._updated > _SECONDS_BETWEEN_UPDATES:
            self._updated = time.monotonic()
            progress = dict(iteration=runner.iter + 1, max_iterations=runner.max_iters)
            write_atomically(self.out_dir / "progress.json", json.dumps(progress))

    def before_val_epoch(self, runner: Runner) -> None:
        """Begins a new validation."""
        self._correct = []

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | tuple | list | None = None,
        outputs: list | None = None,
    ) -> None:
        """Notes which images the model is right on."""
        for sample in outputs or []:
            right = torch.equal(sample.pred_label.cpu(), sample.gt_label.cpu())
            self._correct.append(right)

    def after_val_epoch(
        self, runner: Runner, metrics: dict[str, float] | None = None
    ) -> None:
        """Writes the record."""
        self._top1.append(100 * sum(self._correct) / len(self._correct))
        self._loss.append(sum(self._losses) / max(1, len(self._losses)))
        self._data.append(f"{self._checksum:08x}")
        self._losses = []
        record = dict(
            top1=self._top1,
            loss=self._loss,
            data=self._data,
            correct="".join("01"[right] for right in self._correct),
        )
        write_atomically(self.out_dir / "record.json", json.dumps(record))


def _labels(data_samples: list) -> list[torch.Tensor]:
    return [sample.gt_label for sample in data_samples]
