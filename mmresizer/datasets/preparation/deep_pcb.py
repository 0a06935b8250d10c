"""DeepPCB: bare circuit boards, and patches of their defects."""

import json
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from mmresizer.utils import InputError

from .folders import (
    check_classes,
    check_file,
    describe_stray,
    load_image,
    write_missing,
)

# Types 1 to 6 of the annotations.
DEFECTS = ("open", "short", "mousebite", "spur", "copper", "pin-hole")
# The list of each split, and its numbers of images and of boxes.
_SPLITS = {
    "train": ("trainval.txt", 1000, 6873),
    "val": ("test.txt", 500, 3140),
}
_SIDE = 96


def prepare(folder: Path) -> str:
    """Checks the boards and writes ``annotations/instances_{train,val}.json``.

    Their format is COCO's. Files that are there are kept.

    Raises:
        InputError: If a list, an image or an annotation is missing or damaged, or the
            number of boxes differs.
    """
    boxes = {split: _read_boxes(folder, split) for split in _SPLITS}
    for split, (name, _, number) in _SPLITS.items():
        if len(boxes[split]) != number:
            raise InputError(
                f"the images of {str(folder / name)!r} must have {number:,} boxes, "
                f"but have {len(boxes[split]):,}"
            )
    write_missing(
        folder / "annotations",
        {
            f"instances_{split}.json": [json.dumps(_make_coco(folder, boxes[split]))]
            for split in _SPLITS
        },
    )
    images = " + ".join(f"{number:,}" for _, number, _ in _SPLITS.values())
    counts = " + ".join(f"{number:,}" for _, _, number in _SPLITS.values())
    return f"{images} boards with {counts} defects of {len(DEFECTS)} kinds"


def build_patches(parent: Path, folder: Path) -> None:
    """Cuts a square of 96x96 pixels around each defect.

    The square is centred on the defect. At a border it is moved into the board.

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


def _make_coco(folder: Path, boxes: list[tuple[Path, tuple, int]]) -> dict:
    """Returns COCO's form of what :func:`_read_boxes` returns."""
    ids: dict[Path, int] = {}
    annotations = []
    for i, (path, (left, top, right, bottom), label) in enumerate(boxes):
        width, height = right - left, bottom - top
        annotations.append(
            {
                "id": i + 1,  # 0 is no match in COCOeval
                "image_id": ids.setdefault(path, len(ids) + 1),
                "category_id": label + 1,
                "bbox": [left, top, width, height],
                "area": width * height,
                "iscrowd": 0,
            }
        )
    images = []
    for path, i in ids.items():
        width, height = load_image(path).size
        name = path.relative_to(folder).as_posix()
        images.append({"id": i, "file_name": name, "width": width, "height": height})
    categories = [{"id": i + 1, "name": name} for i, name in enumerate(DEFECTS)]
    return {"images": images, "annotations": annotations, "categories": categories}


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
