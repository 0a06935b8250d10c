"""A record of a training run that a comparison can be made from."""

import zlib
from collections.abc import Sequence

import torch
from mmengine.runner import Runner
from mmpretrain.structures import DataSample
from torch import Tensor

from mmresizer.registry import HOOKS
from mmresizer.utils import InputError

from .record_metrics_hook import DivergedError, RecordMetricsHook


@HOOKS.register_module()
class RecordRunHook(RecordMetricsHook):
    """Records the accuracy after each epoch, image by image, and the data it saw.

    For classifiers of one label an image, in a single process. The files are those of
    :class:`RecordMetricsHook`; in place of metrics ``record.json`` has lists with an
    item an epoch, ``top1`` (percent), ``loss`` (mean of the training iterations) and
    ``data`` (checksum of all training images and labels so far, in their order); of the
    last validation ``val_data`` (the same of its images) and ``correct``, a character
    of "0" or "1" for each.

    Args:
        out_dir (str): Folder for the files.
    """

    def __init__(self, out_dir: str):
        super().__init__(out_dir)
        self._top1: list[float] = []
        self._loss: list[float] = []
        self._data: list[str] = []
        self._correct: list[bool] = []
        self._losses: list[float] = []
        self._checksum = 0
        self._val_checksum = 0

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
        super().after_train_iter(runner, batch_idx, data_batch, outputs)
        assert isinstance(data_batch, dict)
        assert outputs is not None
        self._losses.append(float(outputs["loss"].detach()))
        self._checksum = _checksum(data_batch, self._checksum)

    def before_val_epoch(self, runner: Runner) -> None:
        """Begins a new validation."""
        self._correct, self._val_checksum = [], 0

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | tuple | list | None = None,
        outputs: list | None = None,
    ) -> None:
        """Notes which images the model is right on.

        Raises:
            DivergedError: If a score is not finite: the last step may have spoilt the
                weights, which no loss shows any more.
            InputError: If an image has another number of labels than one.
        """
        assert isinstance(data_batch, dict)
        self._val_checksum = _checksum(data_batch, self._val_checksum)
        if not outputs:
            return
        for sample in outputs:
            label = sample.get("gt_label")
            if label is None or label.numel() != 1:
                raise InputError(
                    "a comparison needs one label for each validation image, but got "
                    f"{label}"
                )
        # Of the whole batch at once: each answer of a GPU takes its time.
        if not torch.stack([s.pred_score for s in outputs]).isfinite().all():
            raise DivergedError(
                f"the scores are not finite in the validation of epoch {runner.epoch}"
            )
        labels, predicted = (
            torch.cat([sample.get(key) for sample in outputs]).cpu()
            for key in ("gt_label", "pred_label")
        )
        self._correct += (labels == predicted).tolist()

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
            val_data=f"{self._val_checksum:08x}",
            correct="".join("01"[right] for right in self._correct),
        )
        self._write(record)


def _checksum(data_batch: dict, start: int) -> int:
    """Checksum of the images and labels of a batch, on top of those before it."""
    samples: Sequence[DataSample] = data_batch["data_samples"]
    labels = [sample.gt_label for sample in samples if "gt_label" in sample]
    images = data_batch["inputs"]
    if isinstance(images, Tensor) and images.is_cuda:
        # Few numbers leave the GPU.
        images = [sum_by_place(images)]
        labels = [torch.cat(labels)] if labels else []
    for tensor in (*images, *labels):
        start = zlib.crc32(tensor.cpu().contiguous().numpy(), start)
    return start


def sum_by_place(images: Tensor) -> Tensor:
    """Sums the bytes of each image, each weighted by its place, to tell images apart.

    Args:
        images (Tensor): Of shape (N, ...).

    Returns:
        Tensor: int64 of shape (N,). No byte has the weight 0: a change of one alone
        changes the sum.
    """
    values = images.flatten(1).contiguous().view(torch.uint8).long()
    places = torch.arange(1, values.shape[1] + 1, device=images.device)
    return (values * (places * places % 65_521 + 1)).sum(1)
