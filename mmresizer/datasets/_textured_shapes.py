"""Images with discs and triangles whose classes differ partly in fine details."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from filelock import FileLock

from mmresizer.utils import InputError
from mmresizer.utils.errors import check_choice, check_int

# Increased whenever the same arguments give other images or annotations than before.
_VERSION = 1
# The images of the two splits differ, whatever the seed.
_SPLITS = {"train": 0, "val": 1}
# Of so many images, one has no object and one has a crowd.
_TURN = 16
_MIN_RADIUS_PX = 3.0
_PERIOD_PX = 3.0
# The label is 2 * outline + orientation.
CLASSES = (
    "disc-horizontal",
    "disc-vertical",
    "triangle-horizontal",
    "triangle-vertical",
)
PALETTE = [(220, 20, 60), (0, 0, 230), (250, 170, 30), (0, 160, 60)]


class Shape(NamedTuple):
    """An object of an image.

    Attributes:
        label (int): Its class.
        mask (np.ndarray): The visible pixels; shape (image_size, image_size), bool.
        iscrowd (bool): Whether it is many shapes over each other.
    """

    label: int
    mask: np.ndarray
    iscrowd: bool


def check_settings(
    dataset: str, split: str, num_train: int, num_val: int, image_size: int, seed: int
) -> dict:
    """Checks the arguments of a dataset; returns what its files depend on.

    Raises:
        InputError: If one is out of its range.
    """
    check_choice("split", split, _SPLITS)
    check_int("num_train", num_train, 1)
    check_int("num_val", num_val, 1)
    check_int("image_size", image_size, 32)
    check_int("seed", seed, 0)
    return {
        "dataset": dataset,
        "version": _VERSION,
        "num_train": num_train,
        "num_val": num_val,
        "image_size": image_size,
        "seed": seed,
    }


def draw_split(split: str, settings: dict) -> Iterator[tuple[np.ndarray, list[Shape]]]:
    """Yields the images of a split, (size, size, 3) uint8 BGR, and their shapes."""
    for index in range(settings[f"num_{split}"]):
        rng = np.random.default_rng([settings["seed"], _SPLITS[split], index])
        yield _draw_image(rng, index, settings["image_size"])


def write_png(path: Path, pixels: np.ndarray) -> None:
    """Writes an image; unlike ``cv2.imwrite``, it says why it fails."""
    _, code = cv2.imencode(".png", pixels)
    path.write_bytes(code.tobytes())


def ensure_written(folder: Path, settings: dict, write_split: Callable) -> None:
    """Writes a dataset, under another name until it is complete.

    Args:
        folder (Path): Its folder.
        settings (dict): What it depends on, from :func:`check_settings`.
        write_split (Callable): Writes a split, given a folder, the name of the split
            and the settings.

    Raises:
        InputError: If something else is in the folder.
    """
    if _is_written(folder, settings):  # the folder may be read-only
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        if _is_written(folder, settings):  # by the process that had the lock before
            return
        part = folder.with_name(f".{folder.name}.part")
        if part.exists():  # left by a process that was killed
            shutil.rmtree(part)
        part.mkdir()
        for split in _SPLITS:
            write_split(part, split, settings)
        (part / "settings.json").write_text(json.dumps(settings, indent=2) + "\n")
        part.rename(folder)


def _is_written(folder: Path, settings: dict) -> bool:
    """Says whether the dataset is there.

    Raises:
        InputError: If something else is there.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    try:
        found = json.loads((folder / "settings.json").read_text())
    except (OSError, ValueError):
        found = "something else"
    if found != settings:
        raise InputError(
            f"{str(folder)!r} has {found} in it and not {settings}: move it away, "
            "change the arguments or name another data_root"
        )
    return True


def _draw_image(
    rng: np.random.Generator, index: int, size: int
) -> tuple[np.ndarray, list[Shape]]:
    """Returns an image, (size, size, 3) uint8 BGR, and its shapes."""
    image = cv2.resize(
        rng.uniform(60, 195, (5, 5, 3)), (size, size), interpolation=cv2.INTER_CUBIC
    )
    shapes = []
    taken = np.zeros((size, size), dtype=bool)
    if index % _TURN == _TURN // 2:
        crowd = _draw_crowd(rng, image)
        shapes.append(crowd)
        taken |= crowd.mask
    is_empty = index % _TURN == _TURN - 1
    for _ in range(0 if is_empty else rng.integers(3, 10)):
        label = int(rng.integers(len(CLASSES)))
        radius = np.exp(rng.uniform(np.log(_MIN_RADIUS_PX), np.log(size / 6)))
        centre = rng.uniform(radius, size - 1 - radius, 2)
        mask = _make_mask(rng, label, centre, radius, size)
        if not (mask & taken).any():
            _paint(rng, image, label, mask)
            shapes.append(Shape(label, mask, iscrowd=False))
            taken |= mask
    noisy = image + rng.normal(0, 6, image.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8), shapes


def _draw_crowd(rng: np.random.Generator, image: np.ndarray) -> Shape:
    """Draws small shapes of one class over each other, which count as one object."""
    size = len(image)
    label = int(rng.integers(len(CLASSES)))
    middle = rng.uniform(size / 4, size * 3 / 4, 2)
    crowd = np.zeros((size, size), dtype=bool)
    for _ in range(12):
        centre = middle + rng.uniform(-size / 10, size / 10, 2)
        mask = _make_mask(rng, label, centre, 2 * _MIN_RADIUS_PX, size)
        _paint(rng, image, label, mask)
        crowd |= mask
    return Shape(label, crowd, iscrowd=True)


def _make_mask(
    rng: np.random.Generator, label: int, centre: np.ndarray, radius: float, size: int
) -> np.ndarray:
    """Returns the pixels whose centres lie in a disc, or in a triangle within it."""
    y, x = np.ogrid[:size, :size]
    y, x = y - centre[0], x - centre[1]
    if label < 2:
        return x**2 + y**2 <= radius**2
    angles = rng.uniform(0, 2 * np.pi) + np.arange(3) * 2 * np.pi / 3
    sides = [x * np.cos(a) + y * np.sin(a) <= radius / 2 for a in angles]
    return np.logical_and.reduce(sides)


def _paint(
    rng: np.random.Generator, image: np.ndarray, label: int, mask: np.ndarray
) -> None:
    """Fills a shape with a colour and stripes."""
    position = mask.nonzero()[label % 2]  # rows, or columns
    frequency = 2 * np.pi / (_PERIOD_PX * rng.uniform(0.95, 1.05))
    wave = np.sin(frequency * position + rng.uniform(0, 2 * np.pi))
    image[mask] = rng.uniform(60, 195, 3) + rng.uniform(40, 60) * wave[:, None]
