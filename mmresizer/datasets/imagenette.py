"""Imagenette, ten easy classes of ImageNet."""

from mmengine import fileio
from mmpretrain.datasets import CustomDataset

from mmresizer.registry import DATASETS
from mmresizer.utils import InputError


@DATASETS.register_module()
class Imagenette(CustomDataset):
    """`Imagenette <https://github.com/fastai/imagenette>`_, of any size.

    ::

        imagenette2
        ├── train
        │   ├── n01440764
        │   └── ...
        └── val
            └── ...

    Args:
        data_root (str): Folder that holds ``train`` and ``val``.
        split (str): "train" or "val".
        **kwargs: Other arguments of :class:`mmpretrain.datasets.CustomDataset`.

    Raises:
        InputError: If the split is another one, or its folder is missing or holds other
            folders than those of the ten classes.
    """

    WNIDS: tuple[str, ...] = (
        "n01440764",
        "n02102040",
        "n02979186",
        "n03000684",
        "n03028079",
        "n03394916",
        "n03417042",
        "n03425413",
        "n03445777",
        "n03888257",
    )
    METAINFO = {  # noqa: RUF012
        "classes": (
            "tench",
            "English springer",
            "cassette player",
            "chain saw",
            "church",
            "French horn",
            "garbage truck",
            "gas pump",
            "golf ball",
            "parachute",
        )
    }

    def __init__(self, data_root: str, split: str, **kwargs):
        if split not in ("train", "val"):
            raise InputError(f"split must be train or val, got {split!r}")
        super().__init__(data_root=data_root, data_prefix=split, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Checks the folders of the classes and lists the images."""
        if not fileio.isdir(self.img_prefix):
            raise InputError(
                f"the folder {self.img_prefix!r} does not exist; "
                "tools/misc/download_dataset.py makes it"
            )
        found = fileio.list_dir_or_file(
            self.img_prefix, list_dir=True, list_file=False, recursive=False
        )
        differing = set(self.WNIDS).symmetric_difference(found)
        if differing:
            raise InputError(
                f"{self.img_prefix!r} must hold the folders of the ten classes of "
                f"{type(self).__name__} and no others, but {min(differing)} is "
                f"{'missing' if min(differing) in self.WNIDS else 'there'}"
            )
        return super().load_data_list()
