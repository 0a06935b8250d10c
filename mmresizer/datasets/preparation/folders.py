"""Checks of images, tables, and folders with one folder per class."""

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from PIL import Image

from mmresizer.datasets.transforms import LoadImageFromFile
from mmresizer.utils import InputError
from mmresizer.utils.files import file_digest

# The suffixes of MMPretrain's CustomDataset, so that both count the same files.
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif")


def is_image(path: Path) -> bool:
    """Says whether a file has the name of an image; the content is not read."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def list_images(folder: Path) -> list[Path]:
    """Lists the images of a folder and of folders below it, in sorted order."""
    return sorted(filter(is_image, folder.rglob("*")))


def check_file(path: Path) -> None:
    """Checks that a file of a dataset is there.

    Raises:
        InputError: If the file is missing.
    """
    if not path.is_file():
        raise InputError(
            f"{str(path.parent)!r} must hold {path.name}, which is missing"
        )


def read_table(path: Path) -> dict[str, str]:
    """Returns the values of a table by their numbers.

    A line holds a number and a value, with white space or a comma between them.

    Raises:
        InputError: If the table is missing or has another line.
    """
    check_file(path)
    table = {}
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        columns = line.replace(",", " ").split()
        if len(columns) != 2 or not columns[0].isdecimal():
            raise InputError(
                f"line {number} of {str(path)!r} must hold a number and a value, got "
                f"{line[:80]!r}"
            )
        table[columns[0]] = columns[1]
    return table


def load_image(path: Path) -> Image.Image:
    """Decodes an image with the loader of the training: upright, in RGB.

    Raises:
        InputError: If the file is missing, is no image or is truncated.
    """
    results = LoadImageFromFile().transform({"img_path": str(path)})
    assert results is not None  # for it refuses what it cannot load
    return Image.fromarray(results["img"][:, :, ::-1])


def check_classes(folder: Path, classes: Sequence[str], num_images: int) -> list[Path]:
    """Checks that a folder holds the images of a dataset, with one folder per class.

    Args:
        folder (Path): Holds the folders of the classes.
        classes (Sequence[str]): Names of the classes.
        num_images (int): Number of images in all of these folders and in folders below
            them, which datasets read too.

    Returns:
        list[Path]: Files that are no images or in no class. Datasets ignore them.

    Raises:
        InputError: If a folder of a class is missing, another one is there, or the
            number of images differs.
    """
    if not folder.is_dir():
        raise InputError(f"the folder {str(folder)!r} does not exist")
    found = {path.name for path in folder.iterdir() if path.is_dir()}
    missing, foreign = set(classes) - found, found - set(classes)
    if missing or foreign:
        faults = [
            f"{len(names)} {word} ({', '.join(sorted(names)[:3])}"
            f"{', ...' if len(names) > 3 else ''})"
            for names, word in ((missing, "missing"), (foreign, "not of the dataset"))
            if names
        ]
        raise InputError(
            f"{str(folder)!r} must hold exactly the {len(classes)} folders of its "
            f"classes, but of these are {' and '.join(faults)}"
        )
    # Datasets follow links, which `Path.rglob` does not.
    files = [
        Path(root, name)
        for root, _, names in os.walk(folder, followlinks=True)
        for name in names
    ]
    stray = [p for p in files if not is_image(p) or p.parent == folder]
    if len(files) - len(stray) != num_images:
        raise InputError(
            f"{str(folder)!r} must hold {num_images:,} images, but has "
            f"{len(files) - len(stray):,}"
        )
    return stray


def check_images(folder: Path, num_images: int) -> list[Path]:
    """Checks the number of images directly in a folder.

    Returns:
        list[Path]: The images, by name.

    Raises:
        InputError: If the folder is missing or the number differs.
    """
    if not folder.is_dir():
        raise InputError(f"the folder {str(folder)!r} does not exist")
    images = sorted(filter(is_image, folder.iterdir()))
    if len(images) != num_images:
        raise InputError(
            f"{str(folder)!r} must hold {num_images:,} images, but has {len(images):,}"
        )
    return images


def describe_stray(stray: Sequence[Path]) -> str:
    """Says which files are ignored, for the end of a report."""
    if not stray:
        return ""
    example = "/".join(stray[0].parts[-2:])
    return f"; passed over {len(stray)} stray file(s), such as {example!r}"


def write_missing(folder: Path, lists: Mapping[str, Iterable[str]]) -> None:
    """Writes text files with one item per line; those that are there are kept.

    A file gets its name when it is complete.

    Args:
        folder (Path): Made if it is missing.
        lists (Mapping[str, Iterable[str]]): Lines by the name of the file.
    """
    folder.mkdir(exist_ok=True)
    for name, lines in lists.items():
        if not (folder / name).exists():
            with tempfile.TemporaryDirectory(dir=folder, prefix=".") as temporary:
                file = Path(temporary, name)
                file.write_text("".join(f"{line}\n" for line in lines))
                file.replace(folder / name)


def split_every(
    groups: Iterable[Sequence[Path]], step: int
) -> tuple[list[Path], list[Path]]:
    """Splits classes: of each the first image and every ``step``-th are the second."""
    first: list[Path] = []
    second: list[Path] = []
    for paths in groups:
        for i, path in enumerate(paths):
            (first if i % step else second).append(path)
    return first, second


def write_split(
    folder: Path,
    train: Sequence[Path],
    val: Sequence[Path],
    find_label: Callable[[Path], int],
) -> str:
    """Writes the lists ``meta/{train,val}.txt`` for MMPretrain's ``CustomDataset``.

    A training image whose file is also one for validation is left out. Lists that are
    there are kept.

    Args:
        folder (Path): Root of the dataset, below which the images are.
        train (Sequence[Path]): Images for training.
        val (Sequence[Path]): Images for validation.
        find_label (Callable[[Path], int]): Returns the label of an image.

    Returns:
        str: The numbers of images, and what was left out, for a report.
    """
    seen = {file_digest(path) for path in val}
    kept = [path for path in train if file_digest(path) not in seen]
    lists = {
        f"{name}.txt": [
            f"{path.relative_to(folder).as_posix()} {find_label(path)}"
            for path in paths
        ]
        for name, paths in (("train", kept), ("val", val))
    }
    write_missing(folder / "meta", lists)
    return (
        f"{len(kept):,} + {len(val):,} images; left out of training, as their files "
        f"are for validation too: {len(train) - len(kept)}"
    )
