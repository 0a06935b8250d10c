"""RSSCN7: aerial photographs of seven kinds of scenes."""

from pathlib import Path

from .folders import (
    check_classes,
    describe_stray,
    list_images,
    split_every,
    write_split,
)

SCENES = (
    "aGrass",
    "bField",
    "cIndustry",
    "dRiverLake",
    "eForest",
    "fResident",
    "gParking",
)
_NUM_IMAGES = 2800
# One of so many images of a scene is for validation.
_STEP = 3


def prepare(folder: Path) -> str:
    """Checks the images and writes the lists ``meta/{train,val}.txt``.

    Every third image of a scene, in sorted order, is for validation. The others are for
    training, without those whose file is also one for validation. Lists that are there
    are kept.

    Raises:
        InputError: If a folder of a scene is missing, another one is there, or the
            number of images differs.
    """
    stray = check_classes(folder / "images", SCENES, _NUM_IMAGES)
    scenes = [list_images(folder / "images" / name) for name in SCENES]
    train, val = split_every(scenes, _STEP)
    report = write_split(
        folder,
        train,
        val,
        lambda path: SCENES.index(path.relative_to(folder / "images").parts[0]),
    )
    return f"{len(SCENES)} scenes, {report}{describe_stray(stray)}"
