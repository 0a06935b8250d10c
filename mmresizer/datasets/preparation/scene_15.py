"""Scene-15: grey photographs of fifteen kinds of places, at 200x200 pixels."""

from pathlib import Path

from .folders import check_classes, describe_stray, list_images, write_split

PLACES = (
    "bedroom",
    "coast",
    "forest",
    "highway",
    "industrial",
    "insidecity",
    "kitchen",
    "livingroom",
    "mountain",
    "office",
    "opencountry",
    "store",
    "street",
    "suburb",
    "tallbuilding",
)
# This copy spells the folders of its two splits differently.
_FOLDERS = {
    "train": (
        "bedroom",
        "Coast",
        "Forest",
        "Highway",
        "industrial",
        "Insidecity",
        "kitchen",
        "livingroom",
        "Mountain",
        "Office",
        "OpenCountry",
        "store",
        "Street",
        "Suburb",
        "TallBuilding",
    ),
    "test": tuple("livingRoom" if name == "livingroom" else name for name in PLACES),
}
_NUM_IMAGES = {"train": 1500, "test": 2985}


def prepare(folder: Path) -> str:
    """Checks the images and writes the lists ``meta/{train,val}.txt``.

    The folder ``test`` is for validation, ``train`` for training, without the images
    whose file is also one for validation. Lists that are there are kept.

    Raises:
        InputError: If a folder of a class is missing, another one is there, or the
            number of images differs.
    """
    stray = []
    images = {}
    for split, classes in _FOLDERS.items():
        stray += check_classes(folder / split, classes, _NUM_IMAGES[split])
        images[split] = [
            path for name in classes for path in list_images(folder / split / name)
        ]
    report = write_split(
        folder,
        images["train"],
        images["test"],
        lambda path: PLACES.index(path.relative_to(folder).parts[1].lower()),
    )
    return f"{len(PLACES)} places, {report}{describe_stray(stray)}"
