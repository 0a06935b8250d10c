"""Imagenette and Imagewoof."""

from pathlib import Path

from mmresizer.datasets.imagenette import Imagenette
from mmresizer.datasets.imagewoof import Imagewoof

from .folders import check_classes, describe_stray

# Images for training and for validation, in each of the three sizes.
_NUM_IMAGES = {Imagenette: (9469, 3925), Imagewoof: (9025, 3929)}


def prepare(dataset: type[Imagenette], folder: Path) -> str:
    """Checks the folder; the dataset class needs nothing else.

    Args:
        dataset (type[Imagenette]): Its class.
        folder (Path): Holds ``train`` and ``val``.

    Raises:
        InputError: If a folder of a class is missing, another one is there, or the
            number of images differs.
    """
    train, val = _NUM_IMAGES[dataset]
    stray = check_classes(folder / "train", dataset.WNIDS, train)
    stray += check_classes(folder / "val", dataset.WNIDS, val)
    return f"{train:,} + {val:,} images of 10 classes{describe_stray(stray)}"
