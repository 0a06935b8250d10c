"""AVA: photographs with the scores that people gave them."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mmengine.logging import print_log
from mmpretrain.datasets.base_dataset import BaseDataset

from mmresizer.registry import DATASETS
from mmresizer.utils import InputError
from mmresizer.utils.errors import check_choice, check_int

from .transforms import LoadImageFromFile, read_image_size

NUM_SCORES = 10
_NUM_COLUMNS = 15
_SPLITS = ("train", "test", "all")
_SHOWN = 3


@dataclass(frozen=True)
class Ratings:
    """The ratings of images.

    Attributes:
        ids (list[str]): Names of N images.
        votes (np.ndarray): Number of votes for the scores 1 to 10, shape (N, 10).
        faults (dict[str, list[str]]): Lines or images that were left out, by the kind
            of their fault.
    """

    ids: list[str]
    votes: np.ndarray
    faults: dict[str, list[str]]

    @property
    def distributions(self) -> np.ndarray:
        """Share of each score in the votes, shape (N, 10); each row sums to 1."""
        return self.votes / self.votes.sum(axis=1, keepdims=True)

    @property
    def means(self) -> np.ndarray:
        """Mean scores, shape (N,)."""
        return self.distributions @ np.arange(1, NUM_SCORES + 1)

    @property
    def stds(self) -> np.ndarray:
        """Standard deviations of the scores of an image, shape (N,)."""
        squares = self.distributions @ np.arange(1, NUM_SCORES + 1) ** 2
        return np.sqrt(np.maximum(squares - self.means**2, 0))


def read_ratings(path: str | os.PathLike) -> Ratings:
    """Reads the table of ratings in the layout of the original ``AVA.txt``.

    A line has 15 numbers: row, image, votes for the scores 1 to 10, two tags and the
    challenge.

    Args:
        path (str | os.PathLike): The table.

    Raises:
        InputError: If the file is missing, or no line of it is a rating.
    """
    if not os.path.isfile(path):
        raise InputError(f"the table of ratings {str(path)!r} does not exist")
    ids: dict[str, int] = {}
    votes: list[list[int]] = []
    faults: dict[str, list[str]] = {
        "malformed lines": [],
        "images a second time": [],
        "images without votes": [],
    }
    with open(path, errors="replace") as file:
        for number, line in enumerate(file, 1):
            columns = line.split()
            if len(columns) != _NUM_COLUMNS or not all(c.isdecimal() for c in columns):
                if columns:
                    faults["malformed lines"].append(f"line {number}")
                continue
            name, counts = columns[1], [int(c) for c in columns[2:12]]
            if name in ids:
                faults["images a second time"].append(name)
            elif not any(counts):
                faults["images without votes"].append(name)
            else:
                ids[name] = number
                votes.append(counts)
    if not ids:
        raise InputError(
            f"{str(path)!r} must hold one rating per line: {_NUM_COLUMNS} numbers "
            "(row, image, ten counts of votes, two tags, challenge), but has none"
        )
    return Ratings(list(ids), np.array(votes), faults)


@DATASETS.register_module()
class AVA(BaseDataset):
    """Photographs of AVA with the distribution of their scores, 1 to 10.

    From `AVA: A Large-Scale Database for Aesthetic Visual Analysis
    <https://doi.org/10.1109/CVPR.2012.6247954>`_ (CVPR 2012). A sample has the
    distribution as ``gt_score``, its mean as ``gt_mean`` and its standard deviation as
    ``gt_std``. ``PackInputs`` takes the latter two by its ``algorithm_keys``.

    Faults are reported in one summary: malformed lines, and images that are rated
    twice, have no votes, are missing or broken.

    Args:
        data_root (str): Folder of the table and the images. Defaults to "".
        ann_file (str): Table of ratings. Defaults to "AVA.txt".
        data_prefix (str): Folder of the images, ``ID.jpg``. Defaults to "images".
        split (str): "train", "test" or "all". Defaults to "train".
        test_lists (str | Sequence[str], optional): Files with the names of test images,
            one per line, such as AVA's ``*_test.jpgl``. All others are for training.
            Without these lists the test set is drawn at random.
        test_part (float): The share of the rated images that is drawn. Defaults to 0.1.
        seed (int): Seed of the draw. Defaults to 0.
        on_fault (str): "skip" to leave out what is at fault, or "raise". Defaults to
            "skip".
        check_images (bool): Whether to look for broken files, which takes about a
            minute for 100,000 of them. Defaults to True.
        **kwargs: Other arguments of :class:`mmpretrain.datasets.BaseDataset`.

    Raises:
        InputError: If an argument is out of its range, a file is missing, nothing is
            left or, with ``on_fault="raise"``, anything is at fault.
    """

    def __init__(
        self,
        data_root: str = "",
        ann_file: str = "AVA.txt",
        data_prefix: str = "images",
        split: str = "train",
        test_lists: str | Sequence[str] | None = None,
        test_part: float = 0.1,
        seed: int = 0,
        on_fault: str = "skip",
        check_images: bool = True,
        **kwargs,
    ):
        check_choice("split", split, _SPLITS)
        if not 0 < test_part < 1:
            raise InputError(f"test_part must be between 0 and 1, got {test_part!r}")
        check_int("seed", seed, 0)
        if test_lists is not None and not test_lists:
            raise InputError(f"test_lists must name a file or more, got {test_lists!r}")
        if on_fault not in ("skip", "raise"):
            raise InputError(f"on_fault must be 'skip' or 'raise', got {on_fault!r}")
        self.split = split
        self.test_lists = [test_lists] if isinstance(test_lists, str) else test_lists
        self.test_part = test_part
        self.seed = seed
        self.on_fault = on_fault
        self.check_images = check_images
        super().__init__(
            data_root=data_root, ann_file=ann_file, data_prefix=data_prefix, **kwargs
        )

    def load_data_list(self) -> list[dict]:
        """Lists images and scores of the split."""
        ratings = read_ratings(self.ann_file)
        faults = dict(ratings.faults)
        test = self._test_ids(ratings.ids)
        faults["names of test lists without a rating"] = sorted(test - {*ratings.ids})
        folder = Path(self.img_prefix)
        if not folder.is_dir():
            raise InputError(f"the folder of images {str(folder)!r} does not exist")
        there = {entry.name for entry in os.scandir(folder)}
        chosen = [
            i
            for i, name in enumerate(ratings.ids)
            if self.split == "all" or (name in test) == (self.split == "test")
        ]
        missing = [i for i in chosen if f"{ratings.ids[i]}.jpg" not in there]
        faults["missing images"] = [ratings.ids[i] for i in missing]
        left = sorted(set(chosen) - set(missing))
        if self.check_images:
            with ThreadPoolExecutor() as pool:
                paths = [folder / f"{ratings.ids[i]}.jpg" for i in left]
                fine = list(pool.map(_is_image, paths))
            faults["broken images"] = [
                ratings.ids[i] for i, ok in zip(left, fine, strict=True) if not ok
            ]
            left = [i for i, ok in zip(left, fine, strict=True) if ok]
        self._report(faults, len(left))
        distributions = ratings.distributions.astype(np.float32)
        means, stds = ratings.means, ratings.stds
        return [
            dict(
                img_path=str(folder / f"{ratings.ids[i]}.jpg"),
                gt_score=distributions[i],
                gt_mean=float(means[i]),
                gt_std=float(stds[i]),
            )
            for i in left
        ]

    def get_image_size(self, idx: int) -> tuple[int, int]:
        """Returns (height, width) of an image, from its header."""
        return read_image_size(self.get_data_info(idx)["img_path"])

    def _test_ids(self, ids: Sequence[str]) -> set[str]:
        if self.test_lists is None:
            # Drawn from all rated images, so that missing ones do not change the split.
            order = np.random.default_rng(self.seed).permutation(len(ids))
            return {ids[i] for i in order[: round(len(ids) * self.test_part)]}
        test: set[str] = set()
        for path in self.test_lists:
            if not os.path.isfile(path):
                raise InputError(f"the list of test images {path!r} does not exist")
            names = set(Path(path).read_text().split())
            if not names & set(ids):
                raise InputError(
                    f"the list of test images {path!r} must have one name of the table "
                    "per line, but has none of them"
                )
            test |= names
        return test

    def _report(self, faults: dict[str, list[str]], count: int) -> None:
        parts = [
            f"{len(found):,} {kind} ({', '.join(found[:_SHOWN])}"
            + (", ...)" if len(found) > _SHOWN else ")")
            for kind, found in faults.items()
            if found
        ]
        summary = f"AVA, {self.split}: {count:,} images"
        if parts:
            summary += f"; left out: {', '.join(parts)}"
        if not count:
            raise InputError(summary)
        if parts and self.on_fault == "raise":
            raise InputError(
                f"AVA, {self.split}, is at fault: {', '.join(parts)}; "
                "on_fault='skip' leaves them out"
            )
        print_log(summary, logger="current")


def _is_image(path: Path) -> bool:
    try:
        LoadImageFromFile()({"img_path": str(path)})
    except InputError:
        return False
    return True
