"""Images as a trained resizer hands them on."""

import glob
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from mmresizer.datasets.transforms import LoadImage
from mmresizer.hub import SCHEME, find_model
from mmresizer.models import BaseResizer
from mmresizer.models.utils import get_resizer
from mmresizer.utils import InputError
from mmresizer.utils.cli import load_config, load_named_config

from .visualization import load_model

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".tif", ".tiff")

Image = str | os.PathLike | np.ndarray | Tensor


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
        self.device = _check_device(device)
        if not isinstance(model, nn.Module):
            cfg, weights = _find_config(model)
            checkpoint = weights if checkpoint is None else os.fspath(checkpoint)
            if checkpoint is None:
                raise InputError(
                    f"{str(getattr(model, 'filename', model))!r} needs a checkpoint: "
                    "it has no published weights"
                )
            model = load_model(cfg, checkpoint)
        elif checkpoint is not None:
            raise InputError("a checkpoint goes with a config, not with a model")
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
        sizes: dict[tuple, list[int]] = {}
        for i, image in enumerate(images):
            sizes.setdefault(tuple(image.shape), []).append(i)
        preprocessor = getattr(self.model, "data_preprocessor", None)
        for indices in sizes.values():
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


def _check_device(device: str | None) -> torch.device:
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(0, device=device)
        return torch.device(device)
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as e:
        reason = " ".join(str(e).split())
        raise InputError(f"the device {device!r} is not there ({reason})") from e


def _find_config(model: str | os.PathLike | Config) -> tuple[Config, str | None]:
    """Returns a config, and the published weights where it is the name of a model."""
    if isinstance(model, Config):
        return model, None
    name = str(model).removeprefix(SCHEME)
    if name.endswith((".py", ".yml", ".yaml", ".json")):
        return load_named_config(name), None
    found = find_model(name)
    weights = f"{SCHEME}{name}" if found.weights else None
    return load_config(str(found.config)), weights


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
            such as "photos/**/*.jpg"; arrays of shape (H, W, 3), uint8, BGR, as OpenCV
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
    for name, value, least in (
        ("batch_size", batch_size, 1),
        ("num_workers", num_workers, 0),
    ):
        if type(value) is not int or value < least:
            raise InputError(f"{name} must be an int of {least} or more, got {value!r}")
    if isinstance(model, ImageResizer) and not (checkpoint is None and device is None):
        raise InputError("checkpoint and device are those of the ImageResizer already")
    sources = _list_images(images, out_dir)
    targets = _plan_files(sources, out_dir) if out_dir is not None else []
    resizer = (
        model
        if isinstance(model, ImageResizer)
        else ImageResizer(model, checkpoint, device)
    )
    loader = DataLoader(
        _Images([source for source, _ in sources]),
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


def _list_images(
    images: Image | Sequence[Image], out_dir: str | os.PathLike | None
) -> list[tuple[Any, str]]:
    """Returns each image, a path or a tensor, and its name."""
    out = Path(out_dir).resolve() if out_dir is not None else None

    def is_source(path: Path) -> bool:
        # What an earlier call has written there is no input of this one.
        return path.is_file() and (out is None or out not in path.resolve().parents)

    if isinstance(images, str | os.PathLike | np.ndarray | Tensor):
        images = [images]
    found: list[tuple[Any, str]] = []
    try:
        listed = list(images)
    except TypeError as e:
        raise InputError(
            "images must be files, folders, patterns, arrays or tensors, but is "
            f"{images!r:.80}"
        ) from e
    for image in listed:
        if isinstance(image, np.ndarray | Tensor):
            for tensor in _to_tensors(image):
                found.append((tensor, f"{len(found):06}"))
            continue
        if not isinstance(image, str | os.PathLike) or not os.fspath(image):
            raise InputError(
                "an image must be a file, a folder, a pattern, an array or a tensor, "
                f"but is {image!r:.80}"
            )
        path = Path(image)
        if path.is_dir():
            files = [
                p
                for p in sorted(path.rglob("*"))
                if p.suffix.lower() in EXTENSIONS and is_source(p)
            ]
            found += [(str(file), str(file.relative_to(path))) for file in files]
            if not files:
                raise InputError(
                    f"the folder {str(path)!r} has no images ({', '.join(EXTENSIONS)})"
                )
        elif path.is_file() or not glob.has_magic(str(image)):
            found.append((str(path), path.name))
        else:
            files = [Path(p) for p in sorted(glob.glob(str(image), recursive=True))]
            files = [file for file in files if is_source(file)]
            if not files:
                raise InputError(f"no file matches the pattern {str(image)!r}")
            root = _fixed_part(path)
            found += [(str(file), str(file.relative_to(root))) for file in files]
    if not found:
        raise InputError("images must name at least one image, but is empty")
    return found


def _fixed_part(pattern: Path) -> Path:
    """Returns the folder that a pattern is below."""
    while glob.has_magic(str(pattern)):
        pattern = pattern.parent
    return pattern


def _to_tensors(image: np.ndarray | Tensor) -> list[Tensor]:
    shape = tuple(image.shape)
    if isinstance(image, np.ndarray):
        if image.ndim != 3 or shape[2] != 3 or image.dtype != np.uint8 or 0 in shape:
            raise InputError(
                "an array must be of shape (H, W, 3) and uint8, but is of shape "
                f"{shape} and {image.dtype}"
            )
        return [torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)]
    if image.ndim not in (3, 4) or image.shape[-3] != 3 or 0 in shape:
        raise InputError(
            f"a tensor must be of shape (3, H, W) or (N, 3, H, W), but is of {shape}"
        )
    return list(image) if image.ndim == 4 else [image]


def _plan_files(
    sources: Sequence[tuple[Any, str]], out_dir: str | os.PathLike
) -> list[Path]:
    folder = Path(out_dir)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"the output folder {str(out_dir)!r} is a file")
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
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = image.round().clip(0, 255).byte().permute(1, 2, 0).numpy()
    # Whole or not there, under a name that still says PNG.
    part = path.with_name(f".{path.stem}.{os.getpid()}.png")
    if not cv2.imwrite(str(part), pixels):
        raise InputError(f"cannot write {str(path)!r}")
    part.replace(path)


class _Images(Dataset):
    """Loads files; an unreadable one is its error."""

    def __init__(self, images: Sequence[str | Tensor]):
        self.images = images
        self.load = LoadImage()

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[int, Tensor | InputError]:
        image = self.images[index]
        if isinstance(image, Tensor):
            return index, image
        try:
            array = self.load({"img_path": image})["img"]
        except InputError as e:
            return index, InputError(str(e))
        return index, torch.from_numpy(np.ascontiguousarray(array)).permute(2, 0, 1)
