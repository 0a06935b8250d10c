"""Images as users name them: files, folders, patterns, arrays and tensors."""

import glob
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mmresizer.utils import InputError
from mmresizer.utils.files import IMAGE_EXTENSIONS

Image = str | os.PathLike | np.ndarray | Tensor


class Source(NamedTuple):
    """An image to load.

    Attributes:
        image (str | Tensor): The path of a file, or a tensor of shape (C, H, W)
            with C = 3, or 1 for a grey image.
        name (str): The path below the folder or pattern; of an array or a tensor its
            number among the images.
    """

    image: str | Tensor
    name: str

    @property
    def label(self) -> str:
        """What results and messages call it: the path of a file, or the number."""
        return self.image if isinstance(self.image, str) else self.name


def list_images(
    images: Image | Sequence[Image], out_dir: str | os.PathLike | None
) -> list[Source]:
    """Lists images.

    Args:
        images (Image | Sequence[Image]): Files, folders (with those below), patterns
            (``photos/**/*.jpg``); arrays of shape (H, W, 3), uint8, BGR, or (H, W),
            grey; tensors of shape (C, H, W) or (N, C, H, W), 0 to 255, where C is 3,
            BGR, or 1, grey.
        out_dir (str | os.PathLike, optional): Output folder. A folder or pattern above
            it does not take what lies in it.

    Returns:
        list[Source]: The images, in the order given; those of a folder or pattern in
        the order of their names.

    Raises:
        InputError: If there are no images, one is of another kind, or the output folder
            is a file.
    """
    _check_out_dir(out_dir)
    sources: list[Source] = []
    for image in _to_list(images):
        if isinstance(image, np.ndarray | Tensor):
            tensors = enumerate(to_tensors(image), start=len(sources))
            sources += [Source(tensor, f"{number:06}") for number, tensor in tensors]
        else:
            sources += _find_files(image, out_dir)
    if not sources:
        raise InputError("images must name at least one image, but is empty")
    return sources


def _check_out_dir(out_dir: str | os.PathLike | None) -> None:
    if out_dir is None:
        return
    if not isinstance(out_dir, str | os.PathLike) or not str(out_dir):
        raise InputError(f"the output folder must be a path, but is {out_dir!r}")
    if Path(out_dir).exists() and not Path(out_dir).is_dir():
        raise InputError(f"the output folder {str(out_dir)!r} is a file")


def _to_list(images: Image | Sequence[Image]) -> list[Image]:
    if isinstance(images, str | os.PathLike | np.ndarray | Tensor):
        return [images]
    try:
        return list(images)
    except TypeError as e:
        raise InputError(
            "images must be files, folders, patterns, arrays or tensors, but is "
            f"{images!r:.80}"
        ) from e


def _find_files(
    image: str | os.PathLike, out_dir: str | os.PathLike | None
) -> list[Source]:
    """Returns the sources that a file, a folder or a pattern stands for."""
    if not isinstance(image, str | os.PathLike) or not os.fspath(image):
        raise InputError(
            "an image must be a file, a folder, a pattern, an array or a tensor, "
            f"but is {image!r:.80}"
        )
    path = Path(image)
    if path.is_dir():
        root = path
        files = [p for p in path.rglob("*") if p.suffix.lower() in IMAGE_EXTENSIONS]
        none_found = (
            f"the folder {str(path)!r} has no images ({', '.join(IMAGE_EXTENSIONS)})"
        )
    elif path.is_file() or not glob.has_magic(str(image)):
        return [Source(str(path), path.name)]
    else:
        root = _fixed_part(path)
        files = [Path(p) for p in glob.glob(str(image), recursive=True)]
        none_found = f"no file matches the pattern {str(image)!r}"
    kept = [file for file in sorted(files) if _is_input(file, out_dir)]
    if not kept:
        if out_dir is not None:
            none_found += f" outside of the output folder {str(out_dir)!r}"
        raise InputError(none_found)
    return [Source(str(file), str(file.relative_to(root))) for file in kept]


def _is_input(path: Path, out_dir: str | os.PathLike | None) -> bool:
    """Says whether a path is a file that no earlier call has written."""
    is_output = (
        out_dir is not None and Path(out_dir).resolve() in path.resolve().parents
    )
    return path.is_file() and not is_output


def _fixed_part(pattern: Path) -> Path:
    """Returns the folder that a pattern is below."""
    while glob.has_magic(str(pattern)):
        pattern = pattern.parent
    return pattern


def to_tensors(image: np.ndarray | Tensor) -> list[Tensor]:
    """Returns the images, (C, H, W), of an array or a tensor.

    Raises:
        InputError: If it is of another shape or type.
    """
    shape = tuple(image.shape)
    if isinstance(image, np.ndarray):
        is_image = image.ndim == 2 or (image.ndim == 3 and shape[2] in (1, 3))
        if not is_image or image.dtype != np.uint8 or 0 in shape:
            raise InputError(
                "an array must be of shape (H, W, 3) or (H, W) and uint8, but is of "
                f"shape {shape} and {image.dtype}"
            )
        image = image.reshape(*shape[:2], -1)
        return [torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)]
    if image.ndim not in (3, 4) or image.shape[-3] not in (1, 3) or 0 in shape:
        raise InputError(
            "a tensor must be of shape (C, H, W) or (N, C, H, W) with C = 1 or 3, but "
            f"is of {shape}"
        )
    if image.is_complex():
        raise InputError(f"a tensor must hold real numbers, but is of {image.dtype}")
    return list(image) if image.ndim == 4 else [image]
