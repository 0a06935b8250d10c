"""Pictures of the predictions of a test."""

import os
from pathlib import Path

import matplotlib
import mmcv
from mmengine.dist import get_world_size, master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from torch import Tensor

from mmresizer.datasets.transforms import LoadImageFromFile
from mmresizer.registry import HOOKS
from mmresizer.utils.errors import check_int
from mmresizer.utils.files import printable


@HOOKS.register_module()
class DrawPredictionsHook(Hook):
    """Draws test images with their predictions, whatever the task.

    A picture has the path of its image, below the folder that holds all images of the
    test set. If images have no file, it has the number of the image. The hooks of
    the libraries name it by the file's name alone, which overwrites pictures, and
    MMPretrain's does not take test-time augmentation. Of several
    processes the first one draws its share.

    Args:
        out_dir (str): Folder for the pictures.
        interval (int): Every interval-th image is drawn. Defaults to 1.

    Raises:
        InputError: If ``interval`` is below 1.
    """

    def __init__(self, out_dir: str, interval: int = 1):
        check_int("interval", interval, 1)
        self.out_dir = Path(out_dir)
        self.interval = interval
        self._index = 0
        self._root: str | None = None

    def before_test(self, runner: Runner) -> None:
        """Finds the folder of the images, and makes the names of classes printable."""
        self._index = 0
        self._root = _find_root(runner.test_loop.dataloader.dataset)
        meta = runner.visualizer.dataset_meta or {}
        classes = tuple(printable(str(name)) for name in meta.get("classes") or ())
        if classes:
            runner.visualizer.dataset_meta = {**meta, "classes": classes}

    @master_only
    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | tuple | list | None = None,
        outputs: list | None = None,
    ) -> None:
        """Draws the images of a batch."""
        for i, sample in enumerate(outputs or ()):
            if self._index % self.interval == 0:
                out_file = self._name(sample.get("img_path"))
                # A "$" in the name of a class is no formula.
                with matplotlib.rc_context({"text.parse_math": False}):
                    _draw(runner, data_batch["inputs"], i, sample, str(out_file))  # type: ignore
            self._index += get_world_size()  # processes take the images in turns

    def _name(self, path: str | None) -> Path:
        """Returns the file of a picture."""
        if path is None or self._root is None:
            return self.out_dir / f"{self._index:06}.png"
        below = os.path.relpath(path, self._root)
        return self.out_dir / (below if below.endswith(".png") else f"{below}.png")


def _find_root(dataset) -> str | None:
    """Returns the folder that all images are below, or None if some have no file."""
    if not hasattr(dataset, "get_data_info"):
        return None
    folders = set()
    for i in range(len(dataset)):
        path = dataset.get_data_info(i).get("img_path")
        if path is None:
            return None
        folders.add(os.path.dirname(os.path.abspath(path)))
    return os.path.commonpath(folders)


def _draw(
    runner: Runner, inputs, index: int, sample: BaseDataElement, out_file: str
) -> None:
    """Draws an image of a batch; of augmented ones, the first version."""
    # Boxes and classes of pixels are those of the file.
    if "pred_instances" in sample or "pred_sem_seg" in sample:
        image = LoadImageFromFile()({"img_path": sample.img_path})["img"]
        runner.visualizer.add_datasample(
            "", mmcv.bgr2rgb(image), sample, out_file=out_file
        )
        return
    if not isinstance(inputs[0], Tensor) or inputs[0].ndim == 4:
        inputs = inputs[0]
    rgb = inputs[index].flip(0).expand(3, -1, -1).permute(1, 2, 0)
    label = sample.get("pred_label")
    runner.visualizer.visualize_cls(
        rgb.byte().cpu().numpy(),
        sample.cpu(),
        draw_score=label is None or not label.is_floating_point(),  # of a regression
        out_file=out_file,
    )
