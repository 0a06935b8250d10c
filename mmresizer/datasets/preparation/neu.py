"""NEU: photographs of steel strips with six kinds of surface defects."""

from pathlib import Path

from mmresizer.utils import InputError

from .folders import check_images, split_every, write_split

DEFECTS = (
    "crazing",
    "inclusion",
    "patches",
    "pitted_surface",
    "rolled-in_scale",
    "scratches",
)
_NUM_IMAGES = 1770
# One of so many images of a class is for validation.
_STEP = 3


def prepare(folder: Path) -> str:
    """Checks the images and writes the lists ``meta/{train,val}.txt``.

    Every third image of a class, in sorted order, is for validation. The others are for
    training, without those whose file is also one for validation. Lists that are there
    are kept.

    Raises:
        InputError: If the number of images differs, or the name of one starts with no
            class.
    """
    images = check_images(folder / "IMAGES", _NUM_IMAGES)
    classes: dict[str, list[Path]] = {name: [] for name in DEFECTS}
    for path in images:
        if _name_class(path) not in classes:
            raise InputError(
                f"the images of {str(folder / 'IMAGES')!r} must be named CLASS_NUMBER "
                f"with a class of {', '.join(DEFECTS)}, but one is {path.name!r}"
            )
        classes[_name_class(path)].append(path)
    train, val = split_every(classes.values(), _STEP)
    report = write_split(
        folder, train, val, lambda path: DEFECTS.index(_name_class(path))
    )
    return f"{len(DEFECTS)} defects, {report}"


def _name_class(path: Path) -> str:
    return path.stem.rpartition("_")[0]
