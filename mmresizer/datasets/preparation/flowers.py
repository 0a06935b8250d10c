"""Oxford's flowers: 17 species, 12 of these, and 102."""

from collections.abc import Collection
from importlib.resources import files
from itertools import chain
from pathlib import Path

import mat4py
from PIL import Image
from tqdm import tqdm

from mmresizer.utils import InputError
from mmresizer.utils.errors import describe_error

from .folders import (
    check_classes,
    check_file,
    check_images,
    describe_stray,
    load_image,
    write_missing,
)

# The images of a species have numbers in a row.
SPECIES = (
    "daffodil",
    "snowdrop",
    "lily-valley",
    "bluebell",
    "crocus",
    "iris",
    "tigerlily",
    "tulip",
    "fritillary",
    "sunflower",
    "daisy",
    "colts-foot",
    "dandelion",
    "cowslip",
    "buttercup",
    "windflower",
    "pansy",
)
_IMAGES_A_SPECIES = 80
_NUM_SPLITS = 3
_SIDE = 224


def prepare_17(folder: Path) -> str:
    """Checks Flowers17 and writes its three splits as ``meta/{train,val,test}N.txt``.

    A line holds the name of an image in ``jpg/`` and its label, from 0. Files that are
    there are kept.

    Raises:
        InputError: If images are missing, or the file of the splits is or lacks one.
    """
    number = len(SPECIES) * _IMAGES_A_SPECIES
    names = {path.name for path in check_images(folder / "jpg", number)}
    keys = {
        (name, k): f"{short}{k}"
        for name, short in (("train", "trn"), ("val", "val"), ("test", "tst"))
        for k in range(1, _NUM_SPLITS + 1)
    }
    splits = _load_mat(folder / "datasplits.mat", keys.values())
    lists: dict[str, list[str]] = {}
    for (split, k), key in keys.items():
        lines = lists[f"{split}{k}.txt"] = []
        for image in splits[key]:
            name = f"image_{image:04d}.jpg"
            if name not in names:
                raise InputError(f"{str(folder / 'jpg')!r} lacks {name!r}")
            lines.append(f"{name} {(image - 1) // _IMAGES_A_SPECIES}")
    write_missing(folder / "meta", lists)
    return f"{number:,} images of {len(SPECIES)} species, {_NUM_SPLITS} splits"


def _load_mat(path: Path, keys: Collection[str]) -> dict[str, list[int]]:
    """Returns lists of a MATLAB file, in which numbers may be stored as doubles."""
    check_file(path)
    try:
        content = mat4py.loadmat(str(path))
        return {key: [int(number) for number in content[key]] for key in keys}
    except Exception as e:  # on foreign bytes it raises anything
        raise InputError(
            f"{str(path)!r} must be a MATLAB file with the lists {', '.join(keys)} "
            f"({describe_error(e)})"
        ) from e


def _list_12() -> list[str]:
    return files(__package__).joinpath("lists/flowers12.txt").read_text().split()


def build_12(parent: Path, folder: Path) -> None:
    """Makes the subset of 12 species from Flowers17, stretched to 224x224 pixels.

    Args:
        parent (Path): Folder of Flowers17, prepared.
        folder (Path): Folder to be made.

    Raises:
        InputError: If an image is missing or damaged.
    """
    for name in tqdm(_list_12(), desc=folder.name, disable=None):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        image = load_image(parent / "jpg" / target.name)
        image.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC).save(target, quality=95)


def prepare_12(folder: Path) -> str:
    """Checks the subset of 12 species; ``CustomDataset`` reads it as it is.

    Raises:
        InputError: If a folder of a class or an image is missing, or another one is
            there.
    """
    listed = _list_12()
    classes = sorted({name.split("/")[1] for name in listed})
    stray = []
    for split in ("train", "val"):
        number = sum(name.startswith(f"{split}/") for name in listed)
        stray += check_classes(folder / split, classes, number)
    missing = [name for name in listed if not (folder / name).is_file()]
    if missing:
        raise InputError(
            f"{str(folder)!r} lacks {len(missing)} images of the subset's list, such "
            f"as {missing[0]!r}"
        )
    return f"{len(listed)} images of {len(classes)} species{describe_stray(stray)}"


def prepare_102(folder: Path) -> str:
    """Checks Flowers102; MMPretrain's ``Flowers102`` reads it as it is.

    Raises:
        InputError: If images or the files of labels and splits are missing or damaged.
    """
    labels = _load_mat(folder / "imagelabels.mat", ("labels",))["labels"]
    splits = _load_mat(folder / "setid.mat", ("trnid", "valid", "tstid"))
    names = {path.name for path in check_images(folder / "jpg", len(labels))}
    for image in chain(*splits.values()):
        if f"image_{image:05d}.jpg" not in names:
            raise InputError(f"{str(folder / 'jpg')!r} lacks 'image_{image:05d}.jpg'")
    numbers = " + ".join(f"{len(images):,}" for images in splits.values())
    return f"{numbers} images of {max(labels)} species"
