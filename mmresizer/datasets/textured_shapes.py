"""A small dataset in COCO's format whose classes differ partly in fine details.

It needs MMDetection, so only configs that use it import it:
``custom_imports = dict(imports=["mmresizer", "mmresizer.datasets.textured_shapes"])``.
"""

import json
from pathlib import Path

import numpy as np
from mmdet.datasets import CocoDataset
from pycocotools import mask as mask_utils

from mmresizer.registry import DATASETS

from ._textured_shapes import (
    CLASSES,
    PALETTE,
    check_settings,
    draw_split,
    ensure_written,
    write_png,
)


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
        "classes": CLASSES,
        "palette": PALETTE,
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
        settings = check_settings(
            "TexturedShapes", split, num_train, num_val, image_size, seed
        )
        ensure_written(Path(data_root).resolve(), settings, _write_split)
        super().__init__(
            data_root=data_root,
            ann_file=f"annotations/instances_{split}.json",
            data_prefix=dict(img=f"{split}/"),
            **kwargs,
        )


def _write_split(folder: Path, split: str, settings: dict) -> None:
    """Writes the images of a split, and their annotations."""
    size = settings["image_size"]
    (folder / split).mkdir()
    (folder / "annotations").mkdir(exist_ok=True)
    images: list[dict] = []
    annotations: list[dict] = []
    for index, (pixels, shapes) in enumerate(draw_split(split, settings)):
        image = {
            "id": index + 1,
            "file_name": f"{index:06d}.png",
            "width": size,
            "height": size,
        }
        write_png(folder / split / image["file_name"], pixels)
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
            for label, name in enumerate(CLASSES)
        ],
    }
    file = folder / "annotations" / f"instances_{split}.json"
    file.write_text(json.dumps(coco))
