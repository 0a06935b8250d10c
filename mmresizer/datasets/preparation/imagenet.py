"""ImageNet-1k."""

from importlib.resources import files
from pathlib import Path

from .folders import check_classes, describe_stray

_NUM_TRAIN, _NUM_VAL = 1_281_167, 50_000


def prepare(folder: Path) -> str:
    """Checks the folder, which has one folder per class below train and val.

    MMPretrain's ``ImageNet`` reads it, unless ``meta`` holds lists, which it prefers.

    Raises:
        InputError: If a folder of a class is missing, another one is there, or the
            number of images differs.
    """
    wnids = files(__package__).joinpath("lists/imagenet_wnids.txt").read_text().split()
    stray = check_classes(folder / "train", wnids, _NUM_TRAIN)
    stray += check_classes(folder / "val", wnids, _NUM_VAL)
    return (
        f"{_NUM_TRAIN:,} + {_NUM_VAL:,} images of {len(wnids):,} classes"
        f"{describe_stray(stray)}"
    )
