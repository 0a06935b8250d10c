"""CUB-200-2011."""

from pathlib import Path

from mmresizer.utils import InputError

from .folders import check_classes, describe_stray, read_table

_NUM_TRAIN, _NUM_TEST = 5994, 5794
_TABLES = ("images.txt", "image_class_labels.txt", "train_test_split.txt")


def prepare(folder: Path) -> str:
    """Checks the folder; MMPretrain's ``CUB`` reads it as it is.

    Raises:
        InputError: If a table is missing, has a line of another layout or differs from
            the others, or a folder of a class or an image is missing.
    """
    classes = read_table(folder / "classes.txt")
    images, labels, split = (read_table(folder / name) for name in _TABLES)
    if not images.keys() == labels.keys() == split.keys():
        raise InputError(
            f"{', '.join(_TABLES)} in {str(folder)!r} must list the same images"
        )
    marks = list(split.values())
    if (marks.count("1"), marks.count("0")) != (_NUM_TRAIN, _NUM_TEST):
        raise InputError(
            f"{str(folder / 'train_test_split.txt')!r} must list {_NUM_TRAIN:,} images "
            f"for training and {_NUM_TEST:,} for testing, but lists "
            f"{marks.count('1'):,} and {marks.count('0'):,}"
        )
    names = list(classes.values())
    stray = check_classes(folder / "images", names, _NUM_TRAIN + _NUM_TEST)
    missing = [
        name for name in images.values() if not (folder / "images" / name).is_file()
    ]
    if missing:
        raise InputError(
            f"{str(folder / 'images')!r} lacks {len(missing):,} images of images.txt, "
            f"such as {missing[0]!r}"
        )
    return (
        f"{_NUM_TRAIN:,} + {_NUM_TEST:,} images of {len(names)} classes"
        f"{describe_stray(stray)}"
    )
