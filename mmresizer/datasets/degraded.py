"""Images of known quality, which replace photographs that people have scored."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmpretrain.datasets.base_dataset import BaseDataset

from mmresizer.registry import DATASETS
from mmresizer.utils import InputError
from mmresizer.utils.errors import check_choice, check_int

from .ava import NUM_SCORES
from .transforms import LoadImageFromFile, read_image_size

DEGRADATIONS = ("blur", "noise", "jpeg", "contrast")
_SPLITS = {"train": 0, "val": 1}
# The strongest degradation (severity 1) of an image of 96 px.
_MAX_SIGMA_PX = 3.0
_MAX_NOISE = 40.0
_MIN_QUALITY = 3
_MIN_CONTRAST = 0.25
# Standard deviation of the scores of one image, on a scale of 1 to 10.
_SCORE_STD = 1.2


def degrade(
    image: np.ndarray, kind: str, severity: float, rng: np.random.Generator
) -> np.ndarray:
    """Degrades an image.

    Args:
        image (np.ndarray): Shape (H, W, 3), uint8.
        kind (str): "blur" (Gaussian), "noise" (Gaussian), "jpeg" or "contrast".
        severity (float): From 0 (none) to 1.
        rng (np.random.Generator): For the noise.

    Returns:
        np.ndarray: An image of the same shape and type.

    Raises:
        InputError: If the kind is another one.
    """
    check_choice("kind", kind, DEGRADATIONS)
    if kind == "blur":
        sigma = severity * _MAX_SIGMA_PX * min(image.shape[:2]) / 96
        if sigma < 0.05:  # less than OpenCV's smallest kernel
            return image
        return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma))
    if kind == "noise":
        noisy = image + rng.normal(0, severity * _MAX_NOISE, image.shape)
        return np.clip(noisy.round(), 0, 255).astype(np.uint8)
    if kind == "jpeg":
        # Blocks and ringing grow evenly with the logarithm of the quality.
        quality = round(100 ** (1 - severity) * _MIN_QUALITY**severity)
        _, code = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        return np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR))
    factor = 1 - severity * (1 - _MIN_CONTRAST)
    mean = image.mean(axis=(0, 1))
    return np.clip(mean + factor * (image - mean), 0, 255).round().astype(np.uint8)


def score_distribution(mean: float) -> np.ndarray:
    """Returns a bell curve over the scores 1 to 10, shape (10,), float32.

    Its mean is ``mean``, apart from what is cut off at the ends.
    """
    scores = np.arange(1, NUM_SCORES + 1)
    weights = np.exp(-((scores - mean) ** 2) / (2 * _SCORE_STD**2))
    return (weights / weights.sum()).astype(np.float32)


class _Degraded(BaseDataset):
    """Adds a degradation and its score to the images of a subclass.

    Kind and severity of an image are drawn from seed, split and index, so that it is
    the same in every process and run. The score falls from 9 at severity 0 to 2 at
    severity 1, whatever the kind.
    """

    seed: int
    split: str

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Returns an image, (H, W, 3) uint8 BGR, and its scores."""
        info = super().get_data_info(idx)
        index = info["sample_idx"]
        rng = np.random.default_rng([self.seed, _SPLITS[self.split], index])
        kind = DEGRADATIONS[rng.integers(len(DEGRADATIONS))]
        severity = rng.uniform()
        info["img"] = degrade(self._make_image(info, rng), kind, severity, rng)
        info["img_shape"] = info["ori_shape"] = info["img"].shape[:2]
        distribution = score_distribution(9 - 7 * severity)
        scores = np.arange(1, NUM_SCORES + 1)
        info["gt_score"] = distribution
        info["gt_mean"] = mean = float(distribution @ scores)
        info["gt_std"] = float(np.sqrt(distribution @ (scores - mean) ** 2))
        return info

    def _make_image(self, info: dict, rng: np.random.Generator) -> np.ndarray:
        raise NotImplementedError


@DATASETS.register_module()
class DegradedTextures(_Degraded):
    """Random textures, degraded by a known amount. There are no files.

    Args:
        num_samples (int): Number of images.
        split (str): "train" or "val". Defaults to "train".
        seed (int): Defaults to 0.
        image_size (int): Height and width in pixels. Defaults to 96.
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
        **kwargs,
    ):
        check_int("num_samples", num_samples, 1)
        check_choice("split", split, _SPLITS)
        check_int("seed", seed, 0)
        check_int("image_size", image_size, 1)
        self.num_samples = num_samples
        self.split = split
        self.seed = seed
        self.image_size = image_size
        super().__init__(ann_file="", **kwargs)

    def load_data_list(self) -> list[dict]:
        """Lists as many samples; :meth:`get_data_info` makes the images."""
        return [{} for _ in range(self.num_samples)]

    def _make_image(self, info: dict, rng: np.random.Generator) -> np.ndarray:
        """Makes patches of colour with sharp edges and fine stripes."""
        size = self.image_size
        image = cv2.resize(
            rng.uniform(40, 215, (4, 4, 3)), (size, size), interpolation=cv2.INTER_CUBIC
        )
        y, x = np.mgrid[:size, :size]
        for _ in range(12):
            centre = rng.uniform(0, size, 2)
            radii = rng.uniform(0.05, 0.25, 2) * size
            angle = rng.uniform(0, np.pi)
            u = (x - centre[0]) * np.cos(angle) + (y - centre[1]) * np.sin(angle)
            v = (y - centre[1]) * np.cos(angle) - (x - centre[0]) * np.sin(angle)
            patch = (u / radii[0]) ** 2 + (v / radii[1]) ** 2 < 1
            stripes = np.sign(np.sin(2 * np.pi * u / rng.uniform(3, 10)))
            colour = rng.uniform(20, 235, 3)
            image[patch] = colour + rng.uniform(0, 40) * stripes[patch, None]
        return np.clip(image, 0, 255).astype(np.uint8)


@DATASETS.register_module()
class DegradedImages(_Degraded):
    """Image files, degraded by a known amount.

    Args:
        data_root (str): Folder of one split; all images below it are used.
        split (str): "train" or "val", which draw different degradations. Defaults to
            "train".
        seed (int): Defaults to 0.
        repeats (int): How often each image is used, each time with another degradation.
            Defaults to 1.
        **kwargs: Other arguments of :class:`mmpretrain.datasets.BaseDataset`.

    Raises:
        InputError: If an argument is out of its range, or there are no images.
    """

    EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".webp")

    def __init__(
        self,
        data_root: str,
        split: str = "train",
        seed: int = 0,
        repeats: int = 1,
        **kwargs,
    ):
        check_choice("split", split, _SPLITS)
        check_int("seed", seed, 0)
        check_int("repeats", repeats, 1)
        self.split = split
        self.seed = seed
        self.repeats = repeats
        self._load = LoadImageFromFile()
        super().__init__(ann_file="", data_root=data_root, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Lists the image files, in the order of their names."""
        paths = sorted(Path(self.data_root).rglob("*"))
        files = [str(p) for p in paths if p.suffix.lower() in self.EXTENSIONS]
        if not files:
            raise InputError(f"the folder {self.data_root!r} has no images")
        return [{"path": path} for path in files * self.repeats]

    def get_image_size(self, idx: int) -> tuple[int, int]:
        """Returns (height, width) of an image, from its header."""
        return read_image_size(BaseDataset.get_data_info(self, idx)["path"])

    def _make_image(self, info: dict, rng: np.random.Generator) -> np.ndarray:
        return self._load({"img_path": info["path"]})["img"]
