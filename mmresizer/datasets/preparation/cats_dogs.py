"""Asirra's cats and dogs: Microsoft's archive, and a small part of it."""

import random
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from mmresizer.utils import InputError

from .folders import (
    check_classes,
    check_images,
    describe_stray,
    load_image,
    write_missing,
)

_CLASSES = ("Cat", "Dog")
_NUM_IMAGES = 12_500  # of each class
_SPLITS = ("val_10.txt", "train_40.txt", "train_90.txt")

_SUBSET = {"train": 900, "val": 1000}
_SUBSET_SIDE = 300
# Two decodings of a picture may differ in so many of 128 bits; different pictures do in
# about 64.
_TOLERANCE = 12


def prepare(folder: Path) -> str:
    """Checks the images and writes the lists for training and validation to ``meta/``.

    Every image is decoded. Damaged ones are listed in ``meta/damaged.txt`` and left out
    of the other lists. All images are shuffled with seed 0. The first 10 % make
    ``val_10.txt``, the next 40 % ``train_40.txt`` (the shares of Keras's example), and
    all but the first 10 % ``train_90.txt``. A line holds the path below ``folder`` and
    the label, 0 for a cat. Lists that are there are kept.

    Raises:
        InputError: If the number of images of a class differs.
    """
    images = [
        path for name in _CLASSES for path in check_images(folder / name, _NUM_IMAGES)
    ]
    meta = folder / "meta"
    if not all((meta / name).is_file() for name in ("damaged.txt", *_SPLITS)):
        readable = _map(_is_readable, images)
        names = [path.relative_to(folder).as_posix() for path in images]
        damaged = {
            n for n, is_readable in zip(names, readable, strict=True) if not is_readable
        }
        write_missing(meta, {"damaged.txt": sorted(damaged), **_split(names, damaged)})
    left_out = (meta / "damaged.txt").read_text().splitlines()
    return f"{len(images) - len(left_out):,} images of cats and dogs; " + (
        f"{len(left_out)} damaged ones left out ({', '.join(left_out)})"
        if left_out
        else "none is damaged"
    )


def _split(names: Iterable[str], damaged: Collection[str]) -> dict[str, list[str]]:
    """Returns the lines of the lists of :data:`_SPLITS`."""
    # Damaged ones are shuffled too: a better decoder must not change the lists.
    shuffled = sorted(names)
    random.Random(0).shuffle(shuffled)
    val, train = round(0.1 * len(shuffled)), round(0.5 * len(shuffled))
    parts = (shuffled[:val], shuffled[val:train], shuffled[val:])
    return {
        file: [
            f"{name} {_CLASSES.index(name.partition('/')[0])}"
            for name in part
            if name not in damaged
        ]
        for file, part in zip(_SPLITS, parts, strict=True)
    }


def _is_readable(path: Path) -> bool:
    try:
        load_image(path)
    except InputError:
        return False
    return True


def _map(function, paths: list[Path]) -> list:
    """Applies a function to images in threads, as the decoder releases the GIL."""
    with ThreadPoolExecutor() as pool:
        return list(tqdm(pool.map(function, paths), total=len(paths), disable=None))


def fingerprint(path: Path) -> np.ndarray:
    """Returns 128 bits of a picture that survive resizing and compression.

    On a grid of 8x8 cells they say where the picture gets brighter to the right and
    downwards (a difference hash).

    Returns:
        np.ndarray: Shape (16,), uint8.
    """
    grey = load_image(path).convert("L")
    rows = np.asarray(grey.resize((9, 8), Image.Resampling.BOX), dtype=int)
    columns = np.asarray(grey.resize((8, 9), Image.Resampling.BOX), dtype=int)
    return np.packbits([np.diff(rows, axis=1) > 0, np.diff(columns, axis=0) > 0])


def build_subset(parent: Path, folder: Path) -> None:
    """Makes the subset from Microsoft's archive: 900 + 1,000 images of at most 300 px.

    The list of the subset has the names of a copy with other numbers, so fingerprints
    identify the pictures. The files are not the same to the byte: each is decoded,
    scaled and compressed again.

    Args:
        parent (Path): Folder of the whole dataset, prepared.
        folder (Path): Folder to be made.

    Raises:
        InputError: If a picture of the list is not found or an image is damaged.
    """
    lines = files(__package__).joinpath("lists/cats_dogs_subset.txt").read_text()
    listed = dict(line.split() for line in lines.splitlines())
    damaged = set((parent / "meta/damaged.txt").read_text().splitlines())
    for plural, name in (("cats", "Cat"), ("dogs", "Dog")):
        images = [
            path
            for path in check_images(parent / name, _NUM_IMAGES)
            if f"{name}/{path.name}" not in damaged
        ]
        marks = np.stack(_map(fingerprint, images))
        for target, mark in listed.items():
            if f"/{plural}/" not in target:
                continue
            wanted = np.frombuffer(bytes.fromhex(mark), dtype=np.uint8)
            distances = np.unpackbits(marks ^ wanted, axis=1).sum(axis=1)
            nearest = int(distances.argmin())
            if distances[nearest] > _TOLERANCE:
                raise InputError(
                    f"{str(parent / name)!r} has no picture like {target!r} of the "
                    "subset's list; the archive must be Microsoft's"
                )
            _save_small(images[nearest], folder / target)


def _save_small(source: Path, target: Path) -> None:
    image = load_image(source)
    factor = min(1.0, _SUBSET_SIDE / min(image.size))
    size = (round(image.width * factor), round(image.height * factor))
    target.parent.mkdir(parents=True, exist_ok=True)
    image.resize(size, Image.Resampling.BICUBIC).save(target, quality=95)


def prepare_subset(folder: Path) -> str:
    """Checks the folder of the subset; ``CustomDataset`` reads it as it is.

    Raises:
        InputError: If a folder of a class is missing, another one is there, or the
            number of images differs.
    """
    stray = [
        path
        for split, number in _SUBSET.items()
        for path in check_classes(folder / split, ("cats", "dogs"), number)
    ]
    numbers = " + ".join(f"{number:,}" for number in _SUBSET.values())
    return f"{numbers} images of cats and dogs{describe_stray(stray)}"
