"""RSSCN7: aerial photographs of seven kinds of scenes."""

from pathlib import Path

from .folders import check_classes, describe_stray, is_image, write_split

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
    scenes = [
        sorted(filter(is_image, (folder / "images" / name).iterdir()))
        for name in SCENES
    ]
    val = [path for paths in scenes for path in paths[::_STEP]]
    train = [path for paths in scenes for path in paths if path not in set(val)]
    report = write_split(
        folder, train, val, lambda path: SCENES.index(path.parent.name)
    )
    return f"{len(SCENES)} scenes, {report}{describe_stray(stray)}"
