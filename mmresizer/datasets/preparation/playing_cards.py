"""Photographs of playing cards: 53 classes that differ in small glyphs."""

from pathlib import Path

from mmresizer.utils import InputError

from .folders import check_classes, describe_stray, is_image, write_split

_PARTS = {"train": 7624, "valid": 265, "test": 265}
_NUM_CLASSES = 53
# One of so many training images is for validation.
_STEP = 8


def prepare(folder: Path) -> str:
    """Checks the images and writes the lists ``meta/{train,val}.txt``.

    For validation are every eighth image of ``train/``, in sorted order, and all of
    ``valid/`` and ``test/``. The others are for training, without those whose content
    is also that of a validation image. Lists that are there are kept.

    Raises:
        InputError: If a folder of a class is missing, another one is there, or the
            number of images differs.
    """
    classes = sorted(p.name for p in (folder / "train").glob("*") if p.is_dir())
    if len(classes) != _NUM_CLASSES:
        raise InputError(
            f"{str(folder / 'train')!r} must hold {_NUM_CLASSES} folders of classes, "
            f"but holds {len(classes)}"
        )
    stray = []
    images = {}
    for part, number in _PARTS.items():
        stray += check_classes(folder / part, classes, number)
        images[part] = sorted(filter(is_image, (folder / part).glob("*/*")))
    train = [p for i, p in enumerate(images["train"]) if i % _STEP]
    val = [*images["train"][::_STEP], *images["valid"], *images["test"]]
    report = write_split(
        folder, train, val, lambda path: classes.index(path.parent.name)
    )
    return f"{len(classes)} cards, {report}{describe_stray(stray)}"
