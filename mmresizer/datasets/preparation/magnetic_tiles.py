"""Magnetic tiles: photographs with masks of five kinds of surface defects.

A tile was photographed at six exposures, mostly in a row, at times again later. Each
photograph has a file, a number and a folder of its own. So the split is one of tiles.
Its list, ``lists/magnetic_tiles.txt``, was made from the photographs at 1/4 of their
size, with local means and deviations evened out. Two of them show the same tile

* if the central 3/4 of one correlate with the other at some shift by more than 0.6,
  and their numbers differ by less than 1,500, or
* if we saw it, in all pairs of tiles that came next: by this correlation further apart
  in number, by that of the central half at 1/3 of the size, upright or turned by 180
  degrees. Eight pairs were joined so.

A third of the tiles is for validation: of those without a defect every third, by
number; of those with one kind of defect the subset that comes nearest to a third of
their tiles, photographs and pixels of defects. Seven tiles have photographs in several
folders, which contradict each other. They are for training.
"""

import shutil
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from tqdm import tqdm

from mmresizer.utils import InputError

from .folders import check_classes, describe_stray, load_image

# Labels 1 to 5; 0 is the background.
DEFECTS = ("blowhole", "break", "crack", "fray", "uneven")
_FOLDERS = tuple(f"MT_{name.capitalize()}" for name in (*DEFECTS, "free"))
# Of 0 to 255. Of the values between, 94 % are within two pixels of 255: a mask has a
# soft edge, whose middle this is. Masks of cracks, the thinnest, would have 5 % more or
# fewer pixels at 64 or 192. At 192 one mask would lose all of them.
_THRESHOLD = 128
_SPLITS = ("train", "val")


class _Photograph(NamedTuple):
    split: str
    tile: str
    path: str  # FOLDER/NAME

    @property
    def folder(self) -> str:
        return self.path.partition("/")[0]

    @property
    def name(self) -> str:
        return self.path.partition("/")[2]

    def find(self, source: Path, suffix: str) -> Path:
        return source / self.folder / "Imgs" / f"{self.name}{suffix}"


def _read_list() -> list[_Photograph]:
    text = files(__package__).joinpath("lists/magnetic_tiles.txt").read_text()
    return [
        _Photograph(*line.split())
        for line in text.splitlines()
        if not line.startswith("#")
    ]


def prepare_source(folder: Path) -> str:
    """Checks the six folders as they were published; nothing is written.

    Raises:
        InputError: If a folder, a photograph or a mask is missing, or another one is
            there.
    """
    photographs = _read_list()
    for item in photographs:
        for suffix, what in ((".jpg", "photograph"), (".png", "mask")):
            if not item.find(folder, suffix).is_file():
                raise InputError(
                    f"the {what} {str(item.find(folder, suffix))!r} is missing"
                )
    stray = check_classes(folder, _FOLDERS, 2 * len(photographs))
    return f"{len(photographs):,} photographs with masks{describe_stray(stray)}"


def build(parent: Path, folder: Path) -> None:
    """Makes what MMSegmentation's ``BaseSegDataset`` reads.

    The photographs, ``img_dir/{train,val}/NAME.jpg``, are copies. Label maps,
    ``ann_dir/{train,val}/NAME.png``, hold 0 for the background and 1 to 5 for
    :data:`DEFECTS`, by the folder of the photograph.

    Args:
        parent (Path): The published folders, checked.
        folder (Path): Folder to be made.

    Raises:
        InputError: If a photograph or a mask is damaged, their sizes differ, or a tile
            without a defect has a mask of one.
    """
    for kind in ("img_dir", "ann_dir"):
        for split in _SPLITS:
            (folder / kind / split).mkdir(parents=True)
    for item in tqdm(_read_list(), desc=folder.name, disable=None):
        source, mask = (item.find(parent, suffix) for suffix in (".jpg", ".png"))
        size = load_image(source).size
        grey = np.asarray(load_image(mask).convert("L"))
        if size != grey.shape[::-1]:
            height, width = grey.shape
            raise InputError(
                f"the mask {str(mask)!r} must be as large as its photograph, "
                f"{size[0]}x{size[1]}, but is {width}x{height}"
            )
        label = _FOLDERS.index(item.folder) + 1
        is_defect = grey >= _THRESHOLD
        if label > len(DEFECTS) and is_defect.any():
            raise InputError(
                f"the mask {str(mask)!r} must be empty, as it is in {item.folder}"
            )
        shutil.copyfile(source, folder / "img_dir" / item.split / source.name)
        Image.fromarray(np.uint8(label) * is_defect).save(
            folder / "ann_dir" / item.split / mask.name
        )


def prepare(folder: Path) -> str:
    """Checks photographs and label maps; ``BaseSegDataset`` reads them as they are.

    Raises:
        InputError: If one is missing, or another one is there.
    """
    photographs = _read_list()
    for split in _SPLITS:
        names = {item.name for item in photographs if item.split == split}
        for kind, suffix in (("img_dir", ".jpg"), ("ann_dir", ".png")):
            place = folder / kind / split
            if not place.is_dir():
                raise InputError(f"the folder {str(place)!r} does not exist")
            found = {path.stem for path in place.glob(f"*{suffix}")}
            if found != names:
                raise InputError(
                    f"{str(place)!r} must hold the {len(names):,} files of the list "
                    f"and no other {suffix}, but {len(names - found)} are missing and "
                    f"{len(found - names)} foreign, such as "
                    f"{min(names ^ found) + suffix!r}"
                )
    numbers, tiles = (
        [len({getattr(p, key) for p in photographs if p.split == s}) for s in _SPLITS]
        for key in ("path", "tile")
    )
    kinds: dict[str, set[str]] = {}
    for item in photographs:
        kinds.setdefault(item.tile, set()).add(item.folder)
    moved = sum(len(kinds[item.tile]) > 1 for item in photographs)
    return (
        f"{numbers[0]:,} + {numbers[1]:,} photographs of {tiles[0]:,} + {tiles[1]:,} "
        f"tiles with {len(DEFECTS)} kinds of defects; moved to training, as their tile "
        f"is in several folders: {moved}"
    )
