"""A small dataset in COCO's format whose classes differ partly in fine details.

It needs MMDetection, so only configs that use it import it:
``custom_imports = dict(imports=["mmresizer", "mmresizer.datasets.textured_shapes"])``.
"""

import json
import shutil
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from filelock import FileLock
from mmdet.datasets import CocoDataset
from pycocotools import mask as mask_utils

from mmresizer.registry import DATASETS
from mmresizer.utils import InputError
from mmresizer.utils.errors import check_choice, check_int

# Increased whenever the same arguments give other images or annotations than before.
_VERSION = 1
# The images of the two splits differ, whatever the seed.
_SPLITS = {"train": 0, "val": 1}
# Of so many images, one has no object and one has a crowd.
_TURN = 16
_MIN_RADIUS_PX = 3.0
_PERIOD_PX = 3.0
# The label is 2 * outline + orientation.
_CLASSES = (
    "disc-horizontal",
    "disc-vertical",
    "triangle-horizontal",
    "triangle-vertical",
)


class _Shape(NamedTuple):
    label: int
    mask: np.ndarray  # (image_size, image_size) bool, the visible pixels
    iscrowd: bool


@DATASETS.register_module()
class TexturedShapes(CocoDataset):
    """Discs and triangles with fine stripes; the class is outline and orientation.

    Images and annotations of both splits are files in the layout of COCO. They are
    written when the folder is missing, all or none, by one process while others wait. A
    folder with anything else in it is not changed.

    Circles around the shapes are 6 px to a third of the image wide, evenly on a
    logarithmic scale. Stripes have a period of 3 px whatever the size of the shape; an
    image of half the size cannot show them. Shapes do not overlap, and masks and boxes
    are exact. Of 16 images, one has no object and one has a crowd. An image depends
    only on the seed, the split, its index and the size.

    Args:
        data_root (str): Local folder of this dataset alone.
        split (str): "train" or "val". Defaults to "train".
        num_train (int): Number of images for training. Defaults to 512.
        num_val (int): Number of images for validation. Defaults to 128.
        image_size (int): Height and width in pixels, 32 or more. Defaults to 192.
        seed (int): Defaults to 0.
        **kwargs: Other arguments of :class:`mmdet.datasets.CocoDataset`, without
            ``ann_file`` and ``data_prefix``.

    Raises:
        InputError: If an argument is out of its range, or ``data_root`` holds something
            else, such as the dataset with other arguments.
    """

    writes_own_folder = True

    METAINFO = {  # noqa: RUF012 (the base class's)
        "classes": _CLASSES,
        "palette": [(220, 20, 60), (0, 0, 230), (250, 170, 30), (0, 160, 60)],
    }

    def __init__(
        self,
        data_root: str,
        split: str = "train",
        num_train: int = 512,
        num_val: int = 128,
        image_size: int = 192,
        seed: int = 0,
        **kwargs,
    ):
        check_choice("split", split, _SPLITS)
        check_int("num_train", num_train, 1)
        check_int("num_val", num_val, 1)
        check_int("image_size", image_size, 32)
        check_int("seed", seed, 0)
        settings = {
            "dataset": "TexturedShapes",
            "version": _VERSION,
            "num_train": num_train,
            "num_val": num_val,
            "image_size": image_size,
            "seed": seed,
        }
        _ensure_written(Path(data_root).resolve(), settings)
        super().__init__(
            data_root=data_root,
            ann_file=f"annotations/instances_{split}.json",
            data_prefix=dict(img=f"{split}/"),
            **kwargs,
        )


def _ensure_written(folder: Path, settings: dict) -> None:
    """Writes the dataset, under another name until it is complete."""
    if _is_written(folder, settings):  # the folder may be read-only
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        if _is_written(folder, settings):  # by the process that had the lock before
            return
        part = folder.with_name(f".{folder.name}.part")
        if part.exists():  # left by a process that was killed
            shutil.rmtree(part)
        (part / "annotations").mkdir(parents=True)
        for split in _SPLITS:
            _write_split(part, split, settings)
        (part / "settings.json").write_text(json.dumps(settings, indent=2) + "\n")
        part.rename(folder)


def _is_written(folder: Path, settings: dict) -> bool:
    """Says whether the dataset is there.

    Raises:
        InputError: If something else is there.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    try:
        found = json.loads((folder / "settings.json").read_text())
    except (OSError, ValueError):
        found = "something else"
    if found != settings:
        raise InputError(
            f"{str(folder)!r} has {found} in it and not {settings}: move it away, "
            "change the arguments or name another data_root"
        )
    return True


def _write_split(folder: Path, split: str, settings: dict) -> None:
    """Writes the images of a split, and their annotations."""
    size = settings["image_size"]
    (folder / split).mkdir()
    images: list[dict] = []
    annotations: list[dict] = []
    for index in range(settings[f"num_{split}"]):
        rng = np.random.default_rng([settings["seed"], _SPLITS[split], index])
        pixels, shapes = _draw_image(rng, index, size)
        image = {
            "id": index + 1,
            "file_name": f"{index:06d}.png",
            "width": size,
            "height": size,
        }
        # `cv2.imwrite` would not say why it fails.
        _, code = cv2.imencode(".png", pixels)
        (folder / split / image["file_name"]).write_bytes(code.tobytes())
        images.append(image)
        for shape in shapes:
            rle = mask_utils.encode(np.asfortranarray(shape.mask, dtype=np.uint8))
            annotations.append(
                {
                    "id": len(annotations) + 1,  # 0 is no match in COCOeval
                    "image_id": image["id"],
                    "category_id": shape.label + 1,
                    "bbox": mask_utils.toBbox(rle).tolist(),
                    "area": int(mask_utils.area(rle)),
                    "segmentation": {**rle, "counts": rle["counts"].decode()},
                    "iscrowd": int(shape.iscrowd),
                }
            )
    coco = {
        "info": {"description": f"TexturedShapes, {split}"},
        "images": images,
        "annotations": annotations,
        "categories": [
            {"id": label + 1, "name": name, "supercategory": name.partition("-")[0]}
            for label, name in enumerate(_CLASSES)
        ],
    }
    file = folder / "annotations" / f"instances_{split}.json"
    file.write_text(json.dumps(coco))


def _draw_image(
    rng: np.random.Generator, index: int, size: int
) -> tuple[np.ndarray, list[_Shape]]:
    """Returns an image, (size, size, 3) uint8 BGR, and its shapes."""
    image = cv2.resize(
        rng.uniform(60, 195, (5, 5, 3)), (size, size), interpolation=cv2.INTER_CUBIC
    )
    shapes = []
    taken = np.zeros((size, size), dtype=bool)
    if index % _TURN == _TURN // 2:
        crowd = _draw_crowd(rng, image)
        shapes.append(crowd)
        taken |= crowd.mask
    is_empty = index % _TURN == _TURN - 1
    for _ in range(0 if is_empty else rng.integers(3, 10)):
        label = int(rng.integers(len(_CLASSES)))
        radius = np.exp(rng.uniform(np.log(_MIN_RADIUS_PX), np.log(size / 6)))
        centre = rng.uniform(radius, size - 1 - radius, 2)
        mask = _make_mask(rng, label, centre, radius, size)
        if not (mask & taken).any():
            _paint(rng, image, label, mask)
            shapes.append(_Shape(label, mask, iscrowd=False))
            taken |= mask
    noisy = image + rng.normal(0, 6, image.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8), shapes


def _draw_crowd(rng: np.random.Generator, image: np.ndarray) -> _Shape:
    """Draws small shapes of one class over each other, which count as one object."""
    size = len(image)
    label = int(rng.integers(len(_CLASSES)))
    middle = rng.uniform(size / 4, size * 3 / 4, 2)
    crowd = np.zeros((size, size), dtype=bool)
    for _ in range(12):
        centre = middle + rng.uniform(-size / 10, size / 10, 2)
        mask = _make_mask(rng, label, centre, 2 * _MIN_RADIUS_PX, size)
        _paint(rng, image, label, mask)
        crowd |= mask
    return _Shape(label, crowd, iscrowd=True)


def _make_mask(
    rng: np.random.Generator, label: int, centre: np.ndarray, radius: float, size: int
) -> np.ndarray:
    """Returns the pixels whose centres lie in a disc, or in a triangle within it."""
    y, x = np.ogrid[:size, :size]
    y, x = y - centre[0], x - centre[1]
    if label < 2:
        return x**2 + y**2 <= radius**2
    angles = rng.uniform(0, 2 * np.pi) + np.arange(3) * 2 * np.pi / 3
    sides = [x * np.cos(a) + y * np.sin(a) <= radius / 2 for a in angles]
    return np.logical_and.reduce(sides)


def _paint(
    rng: np.random.Generator, image: np.ndarray, label: int, mask: np.ndarray
) -> None:
    """Fills a shape with a colour and stripes."""
    position = mask.nonzero()[label % 2]  # rows, or columns
    frequency = 2 * np.pi / (_PERIOD_PX * rng.uniform(0.95, 1.05))
    wave = np.sin(frequency * position + rng.uniform(0, 2 * np.pi))
    image[mask] = rng.uniform(60, 195, 3) + rng.uniform(40, 60) * wave[:, None]
