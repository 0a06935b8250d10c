"""Images that stay in memory, for small datasets and fast GPUs."""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from mmengine.registry import FUNCTIONS
from mmpretrain.datasets import CustomDataset
from mmpretrain.structures import DataSample
from torch import Tensor

from mmresizer.registry import DATASETS
from mmresizer.utils import InputError

FLIPS = ("horizontal", "vertical", "transpose")


@DATASETS.register_module()
class InMemoryImages(CustomDataset):
    """A folder of images that is decoded once and kept as bytes, on the GPU if any.

    A small network on a fast GPU would wait for the decoding of images. Here a batch is
    one gather from a tensor of shape (images, image_size, image_size, 3). The
    augmentation moves pixels and computes no new ones, so that training sees the same
    detail as validation. Use it with ``num_workers=0`` and
    ``collate_fn=dict(type='take_batch')``.

    Args:
        image_size (int): Height and width, in pixels, that ``pipeline`` delivers.
        pipeline (Sequence[dict]): Transforms that load an image. None is random.
        max_shift (int): Images are shifted by up to this number of pixels each way, the
            border reflected. With ``test_mode=True`` they are neither shifted nor
            flipped. Defaults to 0.
        flips (Sequence[str]): Any of "horizontal", "vertical" and "transpose". Each is
            made with probability 1/2. Defaults to none.
        cache_dir (str, optional): Folder for the decoded images, which the next process
            maps instead of decoding them. Defaults to None, no cache.
        device (str, optional): Where the images are kept. Defaults to the GPU, if there
            is one.
        **kwargs: Other arguments of MMPretrain's ``CustomDataset``.

    Raises:
        InputError: If an argument is out of its range, or an image has another size.
    """

    def __init__(
        self,
        image_size: int,
        pipeline: Sequence[dict],
        max_shift: int = 0,
        flips: Sequence[str] = (),
        cache_dir: str | None = None,
        device: str | None = None,
        **kwargs,
    ):
        if not 0 <= max_shift < image_size:
            raise InputError(
                f"max_shift must be an int from 0 to {image_size - 1}, one less than "
                f"image_size, but got {max_shift!r}"
            )
        if isinstance(flips, str) or not set(flips) <= set(FLIPS):
            raise InputError(
                f"flips must be a list of any of {', '.join(FLIPS)}, but got {flips!r}"
            )
        self.image_size = image_size
        self.max_shift = max_shift
        self.flips = tuple(flips)
        self.cache_dir = cache_dir
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self._steps = [dict(step) for step in pipeline]
        self._images: Tensor | None = None
        super().__init__(pipeline=pipeline, **kwargs)

    @property
    def images(self) -> Tensor:
        """All images, uint8 of shape (N, image_size, image_size, 3), in BGR."""
        if self._images is None:
            self._images = self._load().to(self.device)
            self._samples = [
                DataSample().set_gt_label(int(label)).to(self.device)
                for label in self.get_gt_labels()
            ]
        return self._images

    def __getitem__(self, idx: int) -> dict[str, Any]:
        """Returns an image, uint8 of shape (3, image_size, image_size), unaugmented."""
        image = self.images[idx].permute(2, 0, 1).cpu()
        return dict(inputs=image, data_samples=self._samples[idx].cpu())

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Any]:
        """Returns a batch of images (N, 3, H, W), channels last, and their samples."""
        images, size = self.images, self.image_size
        count = len(indices)
        rows = cols = torch.arange(size).expand(count, size)
        flips = () if self.test_mode else self.flips
        if self.max_shift and not self.test_mode:
            rows, cols = (_reflect(rows + self._shifts(count), size) for _ in range(2))
        if "vertical" in flips:
            rows = torch.where(self._coins(count), rows.flip(1), rows)
        if "horizontal" in flips:
            cols = torch.where(self._coins(count), cols.flip(1), cols)
        chosen = torch.as_tensor(indices)
        where = (chosen[:, None, None], rows[:, :, None], cols[:, None])
        batch = images[tuple(index.to(self.device) for index in where)]
        if "transpose" in flips:
            coins = self._coins(count)[..., None, None].to(self.device)
            batch = torch.where(coins, batch.transpose(1, 2), batch)
        samples = [self._samples[i] for i in indices]
        return dict(inputs=batch.permute(0, 3, 1, 2), data_samples=samples)

    def _shifts(self, count: int) -> Tensor:
        most = self.max_shift
        return torch.randint(-most, most + 1, (count, 1))

    def _coins(self, count: int) -> Tensor:
        return torch.rand(count, 1) < 0.5

    def _load(self) -> Tensor:
        if self.cache_dir is None:
            return torch.from_numpy(self._decode())
        paths = [self.get_data_info(i)["img_path"] for i in range(len(self))]
        facts = [(path, os.path.getsize(path)) for path in paths]
        key = hashlib.sha256(repr((self._steps, facts)).encode()).hexdigest()[:16]
        folder = Path(self.cache_dir)
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{key}.npy"
        with FileLock(folder / f"{key}.lock"):
            if not file.exists():
                unfinished = folder / f"{key}.new.npy"
                np.save(unfinished, self._decode())
                unfinished.replace(file)
        return torch.from_numpy(np.load(file))

    def _decode(self) -> np.ndarray:
        images = np.empty((len(self), *(self.image_size,) * 2, 3), np.uint8)

        def decode(i: int) -> None:
            info = self.get_data_info(i)
            image = self.pipeline(info)["img"]
            if image.shape != images.shape[1:]:
                raise InputError(
                    f"{info['img_path']!r} has the shape {image.shape} behind the "
                    f"pipeline, and not {images.shape[1:]} (image_size)"
                )
            images[i] = image

        with ThreadPoolExecutor() as pool:
            list(pool.map(decode, range(len(self))))
        return images


def _reflect(index: Tensor, size: int) -> Tensor:
    """Mirrors indices at the first and the last pixel."""
    return (size - 1 - (index.abs() - (size - 1)).abs()).abs()


@FUNCTIONS.register_module()
def take_batch(batch: dict[str, Any]) -> dict[str, Any]:
    """The ``collate_fn`` for datasets that make whole batches."""
    return batch
