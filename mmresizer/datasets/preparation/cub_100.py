"""The first 100 species of CUB-200-2011 at 227x227 pixels."""

from pathlib import Path

from mmresizer.utils import InputError

from .folders import check_file, read_table, write_missing

_NUM_CLASSES = 100
_NUM_TRAIN, _NUM_TEST = 2999, 2903


def prepare(folder: Path) -> str:
    """Checks the images and writes the lists ``meta/{train,val}.txt``.

    In ``train_test_split.txt`` of this copy, 0 marks CUB's training set and 1 its test
    set.

    Raises:
        InputError: If a table or an image is missing, a line of a table is faulty, or
            the numbers differ.
    """
    paths, labels, marks = (
        read_table(folder / name)
        for name in ("images.txt", "image_class_labels.txt", "train_test_split.txt")
    )
    if not paths.keys() == labels.keys() == marks.keys():
        raise InputError(f"the tables in {str(folder)!r} must list the same images")
    lists: dict[str, list[str]] = {"0": [], "1": []}
    classes = {str(label) for label in range(_NUM_CLASSES)}
    for key, name in paths.items():
        check_file(folder / "images" / name)
        if marks[key] not in lists or labels[key] not in classes:
            raise InputError(
                f"the tables in {str(folder)!r} must give an image a label from 0 to "
                f"{_NUM_CLASSES - 1} and a mark of 0 or 1, but give {name!r} "
                f"{labels[key]!r} and {marks[key]!r}"
            )
        lists[marks[key]].append(f"{name} {labels[key]}")
    if (len(lists["0"]), len(lists["1"])) != (_NUM_TRAIN, _NUM_TEST):
        raise InputError(
            f"{str(folder / 'train_test_split.txt')!r} must mark {_NUM_TRAIN:,} images "
            f"with 0 and {_NUM_TEST:,} with 1, but marks {len(lists['0']):,} and "
            f"{len(lists['1']):,}"
        )
    files = {"train.txt": lists["0"], "val.txt": lists["1"]}
    write_missing(folder / "meta", files)
    return f"{_NUM_TRAIN:,} + {_NUM_TEST:,} images of {_NUM_CLASSES} birds"
