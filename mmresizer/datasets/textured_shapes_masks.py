"""A small dataset for segmentation whose classes differ partly in fine details.

It needs MMSegmentation, so only configs that use it import it: ``custom_imports =
dict(imports=["mmresizer", "mmresizer.datasets.textured_shapes_masks"])``.
"""

from pathlib import Path

import numpy as np
from mmseg.datasets import BaseSegDataset

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
class TexturedShapesMasks(BaseSegDataset):
    """The images of :class:`TexturedShapes` with a class for each pixel.

    Class 0 is what lies between the shapes. Images and label maps of both splits are
    files in the layout of MMSegmentation. They are written when the folder is missing,
    all or none, by one process while others wait. A folder with anything else in it is
    not changed.

    Args:
        data_root (str): Local folder of this dataset alone.
        split (str): "train" or "val". Defaults to "train".
        num_train (int): Number of images for training. Defaults to 512.
        num_val (int): Number of images for validation. Defaults to 128.
        image_size (int): Height and width in pixels, 32 or more. Defaults to 192.
        seed (int): Defaults to 0.
        **kwargs: Other arguments of :class:`mmseg.datasets.BaseSegDataset`, without
            ``data_prefix`` and the suffixes.

    Raises:
        InputError: If an argument is out of its range, or ``data_root`` holds something
            else, such as the dataset with other arguments.
    """

    writes_own_folder = True

    METAINFO: dict = {  # noqa: RUF012 (the base class's)
        "classes": ("background", *CLASSES),
        "palette": [(60, 60, 60), *PALETTE],
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
            "TexturedShapesMasks", split, num_train, num_val, image_size, seed
        )
        ensure_written(Path(data_root).resolve(), settings, _write_split)
        super().__init__(
            data_root=data_root,
            data_prefix=dict(
                img_path=f"img_dir/{split}", seg_map_path=f"ann_dir/{split}"
            ),
            img_suffix=".png",
            seg_map_suffix=".png",
            **kwargs,
        )


def _write_split(folder: Path, split: str, settings: dict) -> None:
    """Writes the images of a split, and their label maps."""
    places = [folder / kind / split for kind in ("img_dir", "ann_dir")]
    for place in places:
        place.mkdir(parents=True)
    for index, (pixels, shapes) in enumerate(draw_split(split, settings)):
        labels = np.zeros(pixels.shape[:2], np.uint8)
        for shape in shapes:
            labels[shape.mask] = shape.label + 1
        for place, image in zip(places, (pixels, labels), strict=True):
            write_png(place / f"{index:06d}.png", image)
