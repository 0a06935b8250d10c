"""Intersection over union of regions and of boundaries, by class."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from mmengine.evaluator import BaseMetric

from mmresizer.registry import METRICS
from mmresizer.utils import InputError


@METRICS.register_module()
class ClasswiseIoUMetric(BaseMetric):
    """IoU of segmentations by class, of whole regions and of their boundaries.

    The IoU of a class is that of MMSegmentation's ``IoUMetric``: the pixels that
    prediction and label have in common over those of either, each summed over all
    images. The boundary IoU is the same of the pixels that are at most a distance away
    from the outside of their region (Cheng et al., *Boundary IoU*, CVPR 2021). It shows
    errors in fine outlines, which hardly change the IoU of a large region. What lies
    outside the image, and pixels without a label, are outside of each region.

    ``compute_metrics`` returns, in percent: ``mIoU`` and ``mBoundaryIoU``, the means
    over the classes that are labelled or predicted; ``aAcc``, the share of pixels that
    are right; ``IoU/CLASS`` and ``boundary_IoU/CLASS`` of each class that is labelled.

    Args:
        distance (float): Of the boundaries, as a share of the diagonal of the image; at
            least 1 px. Defaults to 0.02, as in the source.
        ignore_index (int): Label of the pixels without one. Defaults to 255.
        **kwargs: Of :class:`mmengine.evaluator.BaseMetric`.

    Raises:
        InputError: If ``distance`` is not above 0.
    """

    def __init__(self, distance: float = 0.02, ignore_index: int = 255, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(distance, int | float) or not distance > 0:
            raise InputError(f"distance must be a number above 0, but got {distance!r}")
        self.distance = distance
        self.ignore_index = ignore_index

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Counts pixels of images, whose samples have ``pred_sem_seg``."""
        count = len(self.dataset_meta["classes"])  # type: ignore[index]
        for sample in data_samples:
            predicted, labels = (
                np.asarray(sample[name]["data"].squeeze(0).cpu())
                for name in ("pred_sem_seg", "gt_sem_seg")
            )
            self.results.append(self._count(predicted, labels, count))

    def _count(
        self, predicted: np.ndarray, labels: np.ndarray, count: int
    ) -> np.ndarray:
        """Returns pixels in common, in either and labelled.

        Args:
            predicted (np.ndarray): Classes of shape (H, W).
            labels (np.ndarray): The same.
            count (int): Number of classes.

        Returns:
            np.ndarray: Of regions and of boundaries; shape (2, 3, count).
        """
        valid = labels != self.ignore_index
        distance = max(1, round(self.distance * float(np.hypot(*labels.shape))))
        counts = np.zeros((2, 3, count), np.int64)
        for label in np.union1d(predicted[valid], labels[valid]).astype(int):
            regions = ((predicted == label) & valid, labels == label)
            boundaries = tuple(_find_boundary(region, distance) for region in regions)
            for kind, (ours, theirs) in enumerate((regions, boundaries)):
                counts[kind, :, label] = [
                    np.count_nonzero(pixels)
                    for pixels in (ours & theirs, ours | theirs, theirs)
                ]
        return counts

    def compute_metrics(self, results: list[np.ndarray]) -> dict[str, float]:
        """Returns the metrics of all images, in percent."""
        totals = np.sum(results, axis=0)
        common, either, labelled = totals.swapaxes(0, 1)  # each of shape (2, classes)
        with np.errstate(invalid="ignore"):
            values = 100 * common / either
        means = np.nanmean(values, axis=1)
        metrics = {
            "mIoU": means[0],
            "mBoundaryIoU": means[1],
            "aAcc": 100 * common[0].sum() / max(labelled[0].sum(), 1),
        }
        names = self.dataset_meta["classes"]  # type: ignore[index]
        for kind, prefix in enumerate(("IoU", "boundary_IoU")):
            for label, name in enumerate(names):
                if labelled[0, label]:
                    metrics[f"{prefix}/{name}"] = values[kind, label]
        return {name: float(value) for name, value in metrics.items()}


def _find_boundary(region: np.ndarray, distance: int) -> np.ndarray:
    """Returns the pixels of a region that have the outside within a distance."""
    inside = cv2.erode(
        region.astype(np.uint8),
        np.ones((3, 3), np.uint8),
        iterations=distance,
        borderType=cv2.BORDER_CONSTANT,
        borderValue=0,
    )
    return region & (inside == 0)
