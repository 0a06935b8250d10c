"""Images as a trained resizer hands them on."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import torch
from mmengine.config import Config
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from mmresizer.hub.loading import load_named_model
from mmresizer.models import BaseResizer
from mmresizer.models.utils import get_resizer
from mmresizer.utils import InputError
from mmresizer.utils.errors import check_int
from mmresizer.utils.files import make_folder, write_atomically, writing
from mmresizer.utils.machine import check_device

from .images import Image, LoadedImages, group_by_size, list_images


class ImageResizer:
    """Resizes images as a model does before its backbone.

    Args:
        model (str | os.PathLike | Config | nn.Module): Name of a model of the zoo, a
            config, or a model with a resizer, which is moved to the device and set to
            evaluation. One without a data preprocessor gets the pixels as they are.
        checkpoint (str | os.PathLike, optional): Weights of the model of a config; of a
            model of the zoo, in place of its own.
        device (str, optional): Defaults to "cuda" where there is one, else "cpu".

    Raises:
        InputError: If the model, its weights or the device is not there, or it has no
            resizer.
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
        self.model = model.to(self.device).eval()

    @torch.no_grad()
    def __call__(self, images: Sequence[Tensor]) -> list[Tensor]:
        """Resizes images; those of one size in one batch.

        Args:
            images (Sequence[Tensor]): Each of shape (C, H, W), as OpenMMLab's pipelines
                deliver them: BGR, 0 to 255.

        Returns:
            list[Tensor]: Each of shape (C, h, w), of the same order and range, float32
            on the CPU; a learned image may leave the range.
        """
        resized: dict[int, Tensor] = {}
        preprocessor = getattr(self.model, "data_preprocessor", None)
        for indices in group_by_size(images):
            batch = torch.stack([images[i] for i in indices])
            height, width = batch.shape[-2:]
            if preprocessor is None:
                inputs = batch.to(self.device).float()
            else:
                inputs = preprocessor({"inputs": batch}, training=False)["inputs"]
            # The preprocessor pads to a multiple.
            outputs = self.resizer(inputs[..., :height, :width])
            mean = getattr(preprocessor, "mean", inputs.new_zeros(1, 1, 1))
            std = getattr(preprocessor, "std", inputs.new_ones(1, 1, 1))
            outputs = outputs * std + mean
            if getattr(preprocessor, "to_rgb", False):
                outputs = outputs.flip(1)
            resized |= zip(indices, outputs.float().cpu(), strict=True)
        return [resized[i] for i in range(len(images))]


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

    Images of any size and aspect ratio, without the crops of the model's pipelines.

    Args:
        model (str | os.PathLike | Config | nn.Module | ImageResizer): See
            :class:`ImageResizer`.
        images (Image | Sequence[Image]): Files, folders (with those below), patterns
            (``photos/**/*.jpg``); arrays of shape (H, W, 3), uint8, BGR, as OpenCV
            reads them; tensors of shape (3, H, W) or (N, 3, H, W), BGR, 0 to 255.
        checkpoint (str | os.PathLike, optional): See :class:`ImageResizer`.
        out_dir (str | os.PathLike, optional): Folder for PNG files in place of returned
            tensors; what lies in it is not taken from a folder or pattern above it. A
            file of a folder or pattern keeps its path below it. Of "a.jpg" and "a.png"
            the latter becomes "a.png.png"; two files of one name are an error.
        batch_size (int): Largest number of images at a time; only those of one size
            make a batch. Defaults to 8.
        device (str, optional): See :class:`ImageResizer`.
        num_workers (int): Processes that read files. Defaults to 0: this one does.
        on_error (Callable, optional): Called with a file that cannot be read, or is too
            small for the resizer, and the error; the file is left out. Without it the
            first one is raised.
        progress (bool): Whether to show a progress bar. Defaults to False.

    Returns:
        list[Tensor] | list[Path]: See :meth:`ImageResizer.__call__`; with ``out_dir``
        the files, cut to 0 to 255.

    Raises:
        InputError: If the model, an image or an argument is at fault.
    """
    check_int("batch_size", batch_size, 1)
    check_int("num_workers", num_workers, 0)
    if isinstance(model, ImageResizer) and not (checkpoint is None and device is None):
        raise InputError("checkpoint and device are those of the ImageResizer already")
    sources = list_images(images, out_dir)
    targets = []
    if out_dir is not None:
        targets = _plan_files(sources, out_dir)
        make_folder(out_dir)
    resizer = (
        model
        if isinstance(model, ImageResizer)
        else ImageResizer(model, checkpoint, device)
    )
    loader = DataLoader(
        LoadedImages(sources),
        batch_size=batch_size,
        num_workers=num_workers,
        collate_fn=list,
    )
    results: list = []
    with tqdm(
        total=len(sources), unit="image", disable=None if progress else True
    ) as bar:
        for loaded in loader:
            kept = []
            for index, image in loaded:
                error = _find_fault(resizer, image, sources[index][1])
                if error is None:
                    kept.append((index, image))
                elif on_error is None:
                    raise error
                else:
                    on_error(str(sources[index][0]), error)
            outputs = resizer([image for _, image in kept])
            for (index, _), output in zip(kept, outputs, strict=True):
                if out_dir is None:
                    results.append(output)
                else:
                    _write(output, targets[index])
                    results.append(targets[index])
            bar.update(len(loaded))
    return results


def _find_fault(
    resizer: ImageResizer, image: Tensor | InputError, name: str
) -> InputError | None:
    """Returns why an image cannot be resized, or None."""
    if isinstance(image, InputError):
        return image
    try:
        height, width = image.shape[-2:]
        resizer.resizer.get_output_size((height, width))
    except InputError as e:
        return InputError(f"cannot resize the image {name!r}: {e}")
    return None


def _plan_files(
    sources: Sequence[tuple[Any, str]], out_dir: str | os.PathLike
) -> list[Path]:
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
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content.tobytes())
