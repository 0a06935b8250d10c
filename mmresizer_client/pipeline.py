"""From an image file to the input of a resizer, as the model's config has it."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from .errors import InputError, describe_error
from .images import decode_image

# Takes an image, and the number of pixels that it may become.
_Step = Callable[[np.ndarray, float], np.ndarray]


class Pipeline:
    """Prepares an image as a test pipeline of MMPretrain does, to the last bit.

    Known are ``LoadImageFromFile`` (mmresizer's, which decodes with Pillow),
    ``ResizeEdge``, ``Resize``, ``CenterCrop`` and ``PackInputs``. Resizing with the
    backend "cv2", the default of MMPretrain, needs OpenCV.

    Args:
        steps (Sequence[dict]): The transforms as a config has them, which is the
            ``test_pipeline`` of a model card.

    Raises:
        InputError: If a transform, or an argument of one, is not known.
    """

    def __init__(self, steps: Sequence[dict]):
        self._min_size: int | None = None
        self._steps: list[_Step] = []
        for position, step in enumerate(steps or ()):
            options = dict(step)
            name = str(options.pop("type", None)).rpartition(".")[2]
            # Data sets that are not files do without it.
            if name == "LoadImageFromFile" and position == 0:
                self._min_size = _read_load(**options)
                continue
            if name not in _MAKERS:
                raise InputError(
                    f"a test pipeline may have LoadImageFromFile first, then any of "
                    f"{', '.join(_MAKERS)}, but its transform {position} is {name!r}"
                )
            try:
                made = _MAKERS[name](**options)
            except (TypeError, ValueError, KeyError) as e:
                raise InputError(
                    f"the transform {name} of the test pipeline is not known with "
                    f"{options} ({describe_error(e)})"
                ) from e
            if made is not None:
                self._steps.append(made)

    def __call__(
        self,
        content: bytes,
        formats: list[str] | tuple[str, ...] | None = None,
        max_pixels: int | None = None,
    ) -> np.ndarray:
        """Decodes and prepares an image.

        Args:
            content (bytes): An image file.
            formats (list[str] | tuple[str, ...], optional): Those accepted, as Pillow
                calls them. All by default.
            max_pixels (int, optional): Height times width of what is accepted, before
                and after it is resized.

        Returns:
            np.ndarray: Shape (H, W, 3), uint8, RGB.

        Raises:
            InputError: If this is no complete image, or it has too many pixels.
        """
        try:
            image = decode_image(
                content, self._min_size, formats=formats, max_pixels=max_pixels
            )
        except InputError:
            raise
        except UnidentifiedImageError as e:  # its text names a buffer
            accepted = "" if formats is None else f" of {', '.join(formats)}"
            raise InputError(f"the bytes are no image file{accepted}") from e
        except Exception as e:  # Pillow raises many kinds on broken files
            raise InputError(
                f"the bytes are no complete image file ({describe_error(e)})"
            ) from e
        pixels = np.array(image)
        for step in self._steps:
            pixels = step(pixels, math.inf if max_pixels is None else max_pixels)
        return pixels


def _read_load(
    min_size: int | None = None,
    color_type: str = "color",
    imdecode_backend: str = "pillow",
    **others: Any,
) -> int | None:
    """Returns the size that suffices."""
    if (color_type, imdecode_backend) != ("color", "pillow") or any(others.values()):
        raise InputError(
            "LoadImageFromFile of the test pipeline must decode in colour and with "
            f"Pillow, but has color_type={color_type!r}, "
            f"imdecode_backend={imdecode_backend!r}, {others}"
        )
    return min_size


def _make_resize_edge(
    scale: int,
    edge: str = "short",
    backend: str = "cv2",
    interpolation: str = "bilinear",
) -> _Step:
    resize = _make_resizing(backend, interpolation)
    sets_width = {
        "short": lambda h, w: w < h,
        "long": lambda h, w: w > h,
        "width": lambda h, w: True,
        "height": lambda h, w: False,
    }[edge]

    def run(image: np.ndarray, most: float) -> np.ndarray:
        h, w = image.shape[:2]
        if sets_width(h, w):
            size = scale, int(scale * h / w)
        else:
            size = int(scale * w / h), scale
        if size[0] * size[1] > most:  # of a long thin image
            raise InputError(
                f"an image may have {most} pixels, but this one, {h}x{w}, becomes "
                f"{size[1]}x{size[0]} (height x width)"
            )
        return resize(image, size)

    return run


def _make_resize(
    scale: int | Sequence[int],
    keep_ratio: bool = False,
    backend: str = "cv2",
    interpolation: str = "bilinear",
) -> _Step:
    if keep_ratio:
        raise ValueError("keep_ratio=True")
    width, height = _read_pair(scale)
    resize = _make_resizing(backend, interpolation)
    return lambda image, _: resize(image, (width, height))


def _make_center_crop(crop_size: int | Sequence[int]) -> _Step:
    width, height = _read_pair(crop_size)

    def run(image: np.ndarray, _: float) -> np.ndarray:
        top, left = (
            max(0, round((side - wanted) / 2))
            for side, wanted in zip(image.shape, (height, width), strict=False)
        )
        return image[top : top + height, left : left + width]

    return run


def _make_pack_inputs(**_: Any) -> None:
    return None


def _read_pair(size: int | Sequence[int]) -> tuple[int, int]:
    width, height = (size, size) if isinstance(size, int) else size
    return width, height


def _make_resizing(
    backend: str, interpolation: str
) -> Callable[[np.ndarray, tuple[int, int]], np.ndarray]:
    """Returns what resizes an image to (width, height)."""
    if backend == "pillow":
        how = Image.Resampling[interpolation.upper()]
        return lambda image, size: np.array(Image.fromarray(image).resize(size, how))
    if backend != "cv2":
        raise ValueError(f"backend={backend!r}")
    try:
        import cv2  # it takes a while, and not every pipeline needs it
    except ImportError as e:
        raise InputError(
            "the test pipeline resizes with OpenCV, which is not installed: pip "
            "install opencv-python-headless"
        ) from e
    code = {
        "nearest": cv2.INTER_NEAREST,
        "bilinear": cv2.INTER_LINEAR,
        "bicubic": cv2.INTER_CUBIC,
        "area": cv2.INTER_AREA,
        "lanczos": cv2.INTER_LANCZOS4,
    }[interpolation]
    return lambda image, size: cv2.resize(image, size, interpolation=code)


_MAKERS: dict[str, Callable[..., Any]] = {
    "ResizeEdge": _make_resize_edge,
    "Resize": _make_resize,
    "CenterCrop": _make_center_crop,
    "PackInputs": _make_pack_inputs,
}
