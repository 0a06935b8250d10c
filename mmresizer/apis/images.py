"""Images as users name them: files, folders, patterns, arrays and tensors."""

import glob
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from mmresizer.datasets.transforms import LoadImage
from mmresizer.utils import InputError

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".tif", ".tiff")

Image = str | os.PathLike | np.ndarray | Tensor


def list_images(
    images: Image | Sequence[Image], out_dir: str | os.PathLike | None
) -> list[tuple[str | Tensor, str]]:
    """Lists images.

    Args:
        images (Image | Sequence[Image]): Files, folders (with those below), patterns
            (``photos/**/*.jpg``); arrays of shape (H, W, 3), uint8, BGR; tensors of
            shape (3, H, W) or (N, 3, H, W), BGR, 0 to 255.
        out_dir (str | os.PathLike, optional): Output folder: what lies in it is not
            taken from a folder or pattern above it.

    Returns:
        list[tuple[str | Tensor, str]]: Each image, the path of a file or a tensor of
        shape (3, H, W), and its name: the path below the folder or pattern, or a
        number.

    Raises:
        InputError: If there are none, one is of another kind, or the output folder is a
            file.
    """
    is_path = isinstance(out_dir, str | os.PathLike) and str(out_dir)
    if out_dir is not None and not is_path:
        raise InputError(f"the output folder must be a path, but is {out_dir!r}")
    out = Path(out_dir).resolve() if out_dir is not None else None
    if out is not None and out.exists() and not out.is_dir():
        raise InputError(f"the output folder {str(out_dir)!r} is a file")

    beyond = "" if out is None else f" outside of the output folder {str(out_dir)!r}"

    def is_source(path: Path) -> bool:
        # What an earlier call has written there is no input of this one.
        return path.is_file() and (out is None or out not in path.resolve().parents)

    if isinstance(images, str | os.PathLike | np.ndarray | Tensor):
        images = [images]
    found: list[tuple[str | Tensor, str]] = []
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
                    + beyond
                )
        elif path.is_file() or not glob.has_magic(str(image)):
            found.append((str(path), path.name))
        else:
            files = [Path(p) for p in sorted(glob.glob(str(image), recursive=True))]
            files = [file for file in files if is_source(file)]
            if not files:
                raise InputError(f"no file matches the pattern {str(image)!r}{beyond}")
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
    if image.is_complex():
        raise InputError(f"a tensor must hold real numbers, but is of {image.dtype}")
    return list(image) if image.ndim == 4 else [image]


class LoadedImages(Dataset):
    """Loads files; what cannot be loaded or prepared is its error.

    Args:
        sources (Sequence[tuple[str | Tensor, str]]): See :func:`list_images`.
        prepare (Callable, optional): Makes of an image, of shape (3, H, W), BGR, 0 to
            255, the tensor that is wanted; its :class:`InputError` is that of the
            image. Defaults to the image as it is.
        load (LoadImage, optional): The loader. Defaults to one for the full size.
    """

    def __init__(
        self,
        sources: Sequence[tuple[str | Tensor, str]],
        prepare: Callable[[Tensor], Tensor] | None = None,
        load: LoadImage | None = None,
    ):
        self.sources = sources
        self.prepare = prepare
        self.load = load or LoadImage()

    def __len__(self) -> int:
        """Returns the number of images."""
        return len(self.sources)

    def __getitem__(self, index: int) -> tuple[int, Tensor | InputError]:
        """Returns the index and the image, or its error."""
        image, name = self.sources[index]
        try:
            if not isinstance(image, Tensor):
                image = _to_tensors(self.load({"img_path": image})["img"])[0]
        except InputError as e:
            return index, InputError(str(e))
        if self.prepare is None:
            return index, image
        try:
            return index, self.prepare(image)
        except InputError as e:
            return index, InputError(f"cannot prepare the image {name!r}: {e}")


def group_by_size(images: Sequence[Tensor]) -> list[list[int]]:
    """Returns the indices of the images of each size, in the order of the first."""
    sizes: dict[tuple, list[int]] = {}
    for i, image in enumerate(images):
        sizes.setdefault(tuple(image.shape), []).append(i)
    return list(sizes.values())
