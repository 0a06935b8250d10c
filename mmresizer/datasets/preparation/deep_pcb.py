"""DeepPCB: bare circuit boards, and patches of their defects."""

from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from mmresizer.utils import InputError

from .folders import check_classes, check_file, describe_stray, load_image

# Types 1 to 6 of the annotations.
DEFECTS = ("open", "short", "mousebite", "spur", "copper", "pin-hole")
# Of the list of a split: its images and their boxes.
_SPLITS = {
    "train": ("trainval.txt", 1000, 6873),
    "val": ("test.txt", 500, 3140),
}
_SIDE = 96


def prepare(folder: Path) -> str:
    """Checks the boards; the annotations are read as they are.

    Raises:
        InputError: If a list, an image or an annotation is missing or damaged, or the
            number of boxes differs.
    """
    counts = {split: len(_read_boxes(folder, split)) for split in _SPLITS}
    for split, (name, _, number) in _SPLITS.items():
        if counts[split] != number:
            raise InputError(
                f"the images of {str(folder / name)!r} must have {number:,} boxes, "
                f"but have {counts[split]:,}"
            )
    images = " + ".join(f"{number:,}" for _, number, _ in _SPLITS.values())
    boxes = " + ".join(f"{count:,}" for count in counts.values())
    return f"{images} boards with {boxes} defects of {len(DEFECTS)} kinds"


def build_patches(parent: Path, folder: Path) -> None:
    """Cuts a square of 96x96 pixels around each defect.

    It is centred on the defect and moved into the board where it would leave it.

    Args:
        parent (Path): Folder of DeepPCB, prepared.
        folder (Path): Folder to be made, with ``{train,val}/DEFECT/BOARD_NUMBER.png``.

    Raises:
        InputError: If a board is damaged.
    """
    for split in _SPLITS:
        for name in DEFECTS:
            (folder / split / name).mkdir(parents=True)
        boxes = _read_boxes(parent, split)
        last, pixels = None, np.empty(0)
        for i, (path, box, label) in enumerate(tqdm(boxes, desc=split, disable=None)):
            if path != last:
                last, pixels = path, np.asarray(load_image(path).convert("L"))
            left, top = (
                min(max((box[k] + box[k + 2] - _SIDE) // 2, 0), size - _SIDE)
                for k, size in enumerate(pixels.shape[::-1])
            )
            patch = Image.fromarray(pixels[top : top + _SIDE, left : left + _SIDE])
            board = path.name.removesuffix("_test.jpg")
            patch.save(folder / split / DEFECTS[label] / f"{board}_{i:05d}.png")


def prepare_patches(folder: Path) -> str:
    """Checks the patches; ``CustomDataset`` reads them as they are.

    Raises:
        InputError: If a folder of a class is missing, another one is there, or the
            number of patches differs.
    """
    stray = []
    for split, (_, _, number) in _SPLITS.items():
        stray += check_classes(folder / split, DEFECTS, number)
    counts = " + ".join(f"{number:,}" for _, _, number in _SPLITS.values())
    return f"{counts} patches of {len(DEFECTS)} defects{describe_stray(stray)}"


def _read_boxes(folder: Path, split: str) -> list[tuple[Path, tuple, int]]:
    """Returns image, (left, top, right, bottom) and label of each defect."""
    name, number, _ = _SPLITS[split]
    check_file(folder / name)
    lines = (folder / name).read_text(errors="replace").splitlines()
    if len(lines) != number:
        raise InputError(
            f"{str(folder / name)!r} must list {number:,} images, but lists "
            f"{len(lines):,}"
        )
    boxes = []
    for line in lines:
        image, _, table = line.strip().partition(" ")
        if not table:
            raise InputError(
                f"a line of {str(folder / name)!r} must hold an image and its table, "
                f"got {line[:80]!r}"
            )
        path = folder / image.replace(".jpg", "_test.jpg")
        for file in (path, folder / table):
            check_file(file)
        for row in (folder / table).read_text(errors="replace").splitlines():
            try:
                *box, kind = map(int, row.split())
                if len(box) != 4 or not 1 <= kind <= len(DEFECTS):
                    raise ValueError
            except ValueError as e:
                raise InputError(
                    f"a line of {str(folder / table)!r} must hold left, top, right, "
                    f"bottom and a type from 1 to {len(DEFECTS)}, got {row[:80]!r}"
                ) from e
            boxes.append((path, tuple(box), kind - 1))
    return boxes
