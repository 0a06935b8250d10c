"""A procedural dataset whose classes lie in details that downscaling destroys."""

import cv2
import numpy as np
from mmpretrain.datasets.base_dataset import BaseDataset

from mmresizer.registry import DATASETS
from mmresizer.utils import InputError
from mmresizer.utils.errors import check_choice, check_int

# Keeps the images of the two splits apart, whatever the seed.
_SPLITS = {"train": 0, "val": 1}


@DATASETS.register_module()
class FineTextures(BaseDataset):
    """Fine gratings over smooth backgrounds, told apart by their orientation.

    Class k of K is the orientation k * 180/K degrees. Phase, period, contrast,
    background and noise are drawn for each image from the seed, the split and the
    index, so that an image is the same in every process and run. There are no files.

    At 24 px, a quarter of the default size, the grating lies beyond what the pixels can
    carry: antialiased interpolation removes it, plain interpolation folds it into a
    coarser grating, and a resizer can learn to pass it on.

    Args:
        num_samples (int): Number of images; classes take turns.
        split (str): "train" or "val". Defaults to "train".
        seed (int): Defaults to 0.
        image_size (int): Height and width in pixels. Defaults to 96.
        num_classes (int): Number of orientations. Defaults to 8.
        period (float): Mean length of a period in pixels. Defaults to 3.0.
        noise (float): Standard deviation of the noise, of 255 grey levels. Defaults
            to 24.
        **kwargs: Other arguments of :class:`mmpretrain.datasets.BaseDataset`.

    Raises:
        InputError: If an argument is out of its range.
    """

    def __init__(
        self,
        num_samples: int,
        split: str = "train",
        seed: int = 0,
        image_size: int = 96,
        num_classes: int = 8,
        period: float = 3.0,
        noise: float = 24.0,
        **kwargs,
    ):
        check_choice("split", split, _SPLITS)
        check_int("num_samples", num_samples, 1)
        check_int("seed", seed, 0)
        check_int("image_size", image_size, 1)
        check_int("num_classes", num_classes, 1)
        if period < 2:
            raise InputError(
                f"period must be at least 2 pixels (Nyquist), got {period}"
            )
        self.num_samples = num_samples
        self.split = split
        self.seed = seed
        self.image_size = image_size
        self.num_classes = num_classes
        self.period = period
        self.noise = noise
        classes = [f"{180 * k / num_classes:g} degrees" for k in range(num_classes)]
        super().__init__(ann_file="", classes=classes, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Lists the labels; :meth:`get_data_info` makes the images."""
        return [{"gt_label": i % self.num_classes} for i in range(self.num_samples)]

    def get_data_info(self, idx: int) -> dict:
        """Returns an image, (image_size, image_size, 3) uint8, and its label."""
        info = super().get_data_info(idx)
        info["img"] = self._make_image(info["sample_idx"], info["gt_label"])
        info["img_shape"] = info["ori_shape"] = info["img"].shape[:2]
        return info

    def _make_image(self, idx: int, label: int) -> np.ndarray:
        rng = np.random.default_rng([self.seed, _SPLITS[self.split], idx])
        size = self.image_size
        background = cv2.resize(
            rng.uniform(60, 195, (5, 5, 3)), (size, size), interpolation=cv2.INTER_CUBIC
        )
        angle = np.pi * label / self.num_classes
        frequency = 2 * np.pi / (self.period * rng.uniform(0.95, 1.05))
        y, x = np.mgrid[:size, :size]
        wave = np.sin(
            frequency * (x * np.cos(angle) + y * np.sin(angle))
            + rng.uniform(0, 2 * np.pi)
        )
        image = background + rng.uniform(20, 40) * wave[..., None]
        image += rng.normal(0, self.noise, image.shape)
        return np.clip(image, 0, 255).astype(np.uint8)

    def extra_repr(self) -> list[str]:
        """Shows the arguments in ``print(dataset)``."""
        return [
            f"Split and seed: \t{self.split}, {self.seed}",
            f"Image size: \t{self.image_size}",
        ]
