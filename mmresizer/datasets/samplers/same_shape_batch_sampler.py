"""Batches of images of one shape."""

import math
from collections import Counter
from collections.abc import Iterator

import torch
from mmengine.dataset import DefaultSampler
from torch.utils.data import BatchSampler

from mmresizer.registry import DATA_SAMPLERS
from mmresizer.utils import InputError
from mmresizer.utils.errors import check_int

from ..transforms import AspectRatioResize


@DATA_SAMPLERS.register_module()
class SameShapeBatchSampler(BatchSampler):
    """Makes batches of one shape, of images of several aspect ratios.

    With :class:`mmresizer.datasets.AspectRatioResize`, which knows few shapes. As
    ``batch_sampler`` of a dataloader, beside its ``sampler``. In training each image
    comes once an epoch, the batches in a random order; a shape's last one may be
    smaller. All processes have the same number of batches, for which a few come twice.
    Without shuffling each process has the images that ``sampler`` gives it, shape by
    shape.

    Args:
        sampler (DefaultSampler): Says dataset, order, seed and process. The dataset
            needs the transform in its pipeline, and ``get_image_size(index)``, which
            returns height and width.
        batch_size (int): Number of images.

    Raises:
        InputError: If ``batch_size`` is below 1, or the sampler or its dataset another.
    """

    sampler: DefaultSampler

    def __init__(self, sampler: DefaultSampler, batch_size: int):
        check_int("batch_size", batch_size, 1)
        if not isinstance(sampler, DefaultSampler):
            raise InputError(
                "SameShapeBatchSampler needs sampler=dict(type='DefaultSampler'), "
                f"got {type(sampler).__name__}"
            )
        self.sampler = sampler
        self.batch_size = batch_size
        dataset = sampler.dataset
        transforms = getattr(getattr(dataset, "pipeline", None), "transforms", ())
        resizes = [t for t in transforms if isinstance(t, AspectRatioResize)]
        if not resizes or not hasattr(dataset, "get_image_size"):
            raise InputError(
                "SameShapeBatchSampler needs mmresizer.AspectRatioResize in the "
                "pipeline of mmresizer.AVA, mmresizer.DegradedImages or another "
                f"dataset with get_image_size, got {type(dataset).__name__}"
            )
        self._shapes = [
            resizes[0].shape_of(*dataset.get_image_size(i)) for i in range(len(dataset))
        ]

    def __iter__(self) -> Iterator[list[int]]:
        """Yields the indices of each batch."""
        sampler = self.sampler
        if not sampler.shuffle:
            indices = list(sampler)
            # What a process has beyond the dataset's end, to have as many images as the
            # others, is its last image: mmengine cuts that off.
            last = self._shapes[indices[-1]] if indices else None
            groups = self._group(indices)
            for shape in sorted(groups, key=lambda shape: shape == last):
                yield from groups[shape]
            return
        generator = torch.Generator().manual_seed(sampler.seed + sampler.epoch)
        order = torch.randperm(len(self._shapes), generator=generator).tolist()
        batches = [batch for group in self._group(order).values() for batch in group]
        order = torch.randperm(len(batches), generator=generator).tolist()
        for i in range(
            sampler.rank, len(self) * sampler.world_size, sampler.world_size
        ):
            yield batches[order[i % len(batches)]]

    def __len__(self) -> int:
        """Returns the number of batches of this process."""
        sampler = self.sampler
        indices = range(len(self._shapes)) if sampler.shuffle else list(sampler)
        counts = Counter(self._shapes[i] for i in indices)
        batches = sum(math.ceil(n / self.batch_size) for n in counts.values())
        return math.ceil(batches / sampler.world_size) if sampler.shuffle else batches

    def _group(self, indices: list[int]) -> dict[tuple[int, int], list[list[int]]]:
        """Returns the batches of each shape, in the order of the indices."""
        groups: dict[tuple[int, int], list[int]] = {}
        for i in indices:
            groups.setdefault(self._shapes[i], []).append(i)
        step = self.batch_size
        return {
            shape: [group[i : i + step] for i in range(0, len(group), step)]
            for shape, group in groups.items()
        }
