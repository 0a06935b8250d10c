"""Images as a trained resizer passes them on."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import torch
from mmengine.config import Config
from torch import Tensor, nn

from mmresizer.hub.loading import load_named_model
from mmresizer.models import BaseResizer
from mmresizer.models.utils import get_resizer, normalize_images, restore_pixels
from mmresizer.utils import InputError
from mmresizer.utils.errors import check_int
from mmresizer.utils.files import make_folder, write_atomically, writing
from mmresizer.utils.machine import check_device

from .batches import LoadedImages, group_by_size, loader_for, run_in_batches
from .images import Image, Source, list_images


class ImageResizer:
    """Resizes images as a model does before its backbone.

    Args:
        model (str | os.PathLike | Config | nn.Module): Name of a model of the zoo, a
            config, or a model with a resizer. A model is moved to the device and set to
            evaluation; without a data preprocessor it gets the pixels as they are.
        checkpoint (str | os.PathLike, optional): Weights. A config needs them; for a
            model of the zoo they replace its own.
        device (str, optional): Defaults to "cuda" where there is one, else "cpu".

    Raises:
        InputError: If the model, its weights or the device is missing, the model has no
            resizer, or the resizer gives more channels than an image has.
    """

    def __init__(
        self,
        model: str | os.PathLike | Config | nn.Module,
        checkpoint: str | os.PathLike | None = None,
        device: str | None = None,
    ):
        self.device = check_device(device)
        model = load_named_model(model, checkpoint)
        self.resizer: BaseResizer = get_resizer(model)
        if self.resizer.out_channels != self.resizer.in_channels:
            raise InputError(
                f"the resizer gives {self.resizer.out_channels} channels, which are no "
                f"image of {self.resizer.in_channels}"
            )
        self.model = model.to(self.device).eval()

    def __call__(self, images: Sequence[Tensor]) -> list[Tensor]:
        """Resizes images; those of one size make one batch.

        Args:
            images (Sequence[Tensor]): Each of shape (C, H, W), as OpenMMLab's pipelines
                deliver them: BGR, 0 to 255.

        Returns:
            list[Tensor]: Each of shape (C, h, w), BGR, float32, on the CPU. The pixels
            of a learned resizer may leave 0 to 255.
        """
        resized: dict[int, Tensor] = {}
        for indices in group_by_size(images):
            outputs = self.resize_batch(torch.stack([images[i] for i in indices]))
            resized |= zip(indices, outputs, strict=True)
        return [resized[i] for i in range(len(images))]

    @torch.no_grad()
    def resize_batch(self, images: Tensor) -> Tensor:
        """Resizes images of one size.

        Args:
            images (Tensor): Shape (N, C, H, W), BGR, 0 to 255.

        Returns:
            Tensor: Shape (N, C, h, w), see :meth:`__call__`.

        Raises:
            InputError: If the resizer does not take images of this size.
        """
        outputs = self.resizer(normalize_images(self.model, images.to(self.device)))
        return restore_pixels(self.model, outputs).cpu()


def resize_images(
    model: str | os.PathLike | Config | nn.Module | ImageResizer,
    images: Image | Sequence[Image],
    checkpoint: str | os.PathLike | None = None,
    out_dir: str | os.PathLike | None = None,
    batch_size: int = 8,
    device: str | None = None,
    num_workers: int = 0,
    on_error: Callable[[str, InputError], None] | None = None,
    progress: bool = False,
) -> list[Tensor] | list[Path]:
    """Resizes images as a model does before its backbone.

    Images may have any size and aspect ratio. The crops of the model's pipelines are
    not applied.

    Args:
        model (str | os.PathLike | Config | nn.Module | ImageResizer): See
            :class:`ImageResizer`.
        images (Image | Sequence[Image]): Files, folders (with those below), patterns
            (``photos/**/*.jpg``); arrays of shape (H, W, 3), uint8, BGR, as OpenCV
            reads them, or (H, W), grey; tensors of shape (C, H, W) or (N, C, H, W), 0
            to 255, where C is 3, BGR, or 1, grey.
        checkpoint (str | os.PathLike, optional): See :class:`ImageResizer`.
        out_dir (str | os.PathLike, optional): Folder for PNG files, which are written
            instead of returning tensors. A folder or pattern above it does not take
            what lies in it. A file of a folder or pattern keeps its path below it. If
            there are "a.jpg" and "a.png", the latter becomes "a.png.png"; two files of
            one name are an error.
        batch_size (int): Largest number of images in a batch. The images of a batch
            have one size. Defaults to 8.
        device (str, optional): See :class:`ImageResizer`.
        num_workers (int): Processes that load files. Defaults to 0: this process does.
        on_error (Callable, optional): Called with the path of a file, or the number of
            an array or a tensor, that cannot be loaded or is too small for the resizer,
            and with the error. The image is left out. Without ``on_error`` the first
            error is raised.
        progress (bool): Whether to show a progress bar. Defaults to False.

    Returns:
        list[Tensor] | list[Path]: See :meth:`ImageResizer.__call__`. With ``out_dir``
        the files, whose pixels are clipped to 0 to 255.

    Raises:
        InputError: If the model, an image or an argument is at fault.
    """
    check_int("batch_size", batch_size, 1)
    check_int("num_workers", num_workers, 0)
    if isinstance(model, ImageResizer) and not (checkpoint is None and device is None):
        raise InputError("checkpoint and device are those of the ImageResizer already")
    sources = list_images(images, out_dir)
    if out_dir is not None:
        targets = _plan_files(sources, out_dir)
        make_folder(out_dir)
    resizer = (
        model
        if isinstance(model, ImageResizer)
        else ImageResizer(model, checkpoint, device)
    )
    resized = run_in_batches(
        LoadedImages(sources, loader_for(resizer.resizer)),
        lambda batch, _: list(resizer.resize_batch(batch)),
        "resize",
        batch_size,
        num_workers,
        on_error,
        progress,
    )
    if out_dir is None:
        return [image for _, image in resized]
    files = []
    for index, image in resized:
        _write(image, targets[index])
        files.append(targets[index])
    return files


def _plan_files(sources: Sequence[Source], out_dir: str | os.PathLike) -> list[Path]:
    folder = Path(out_dir)
    inputs = {Path(s).resolve() for s, _ in sources if isinstance(s, str)}
    targets: dict[Path, tuple[Any, str]] = {}
    for source, name in sources:
        path = (folder / name).with_suffix(".png")
        if path in targets and targets[path][1] != name:
            path = folder / f"{name}.png"
        if path in targets:
            raise InputError(
                f"{targets[path][0]!r} and {source!r} would both be written to "
                f"{str(path)!r}"
            )
        if path.resolve() in inputs:
            raise InputError(f"{str(path)!r} would be overwritten; take another folder")
        targets[path] = source, name
    return list(targets)


def _write(image: Tensor, path: Path) -> None:
    pixels = image.round().clip(0, 255).byte().permute(1, 2, 0).numpy()
    _, content = cv2.imencode(".png", pixels)
    with writing(path):
        write_atomically(path, content.tobytes())
