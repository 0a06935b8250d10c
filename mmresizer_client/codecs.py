"""Images of uint8 as bytes that are sent, and back."""

import io
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from .errors import InputError, describe_error

ACCEPTED = (
    "raw, png, webp (without loss), webp-QUALITY or jpeg-QUALITY with a quality from 1 "
    "to 100, or one of the last four with +planes behind it"
)
_NAME = re.compile(
    r"(?P<raw>raw)|((?P<plain>png|webp)|(?P<lossy>webp|jpeg)-(?P<quality>[1-9]\d?|100))"
    r"(?P<planes>\+planes)?",
    re.ASCII,
)


@dataclass(frozen=True)
class Codec:
    """A way to write an image.

    Attributes:
        format (str): "raw", "png", "webp" or "jpeg". Raw is one byte for each channel
            of each pixel, row by row.
        quality (int, optional): From 1 to 100; None is without loss.
        planes (bool): Whether the channels are written as one grey image, one below the
            other. JPEG and WebP take three channels for red, green and blue, and keep
            little of the differences between them, which eyes hardly see. The channels
            of a learned resizer are no colours.
    """

    format: str
    quality: int | None = None
    planes: bool = False

    @property
    def is_lossless(self) -> bool:
        """Whether an image comes back as it was."""
        return self.quality is None

    def __str__(self) -> str:
        """Returns the name that :func:`parse_codec` takes."""
        quality = "" if self.quality is None else f"-{self.quality}"
        return f"{self.format}{quality}{'+planes' if self.planes else ''}"

    def encode(self, image: np.ndarray) -> bytes:
        """Returns the bytes of an image.

        Args:
            image (np.ndarray): Shape (H, W, C), uint8; RGB, if C is 3. If all channels
                are equal, one is sent.

        Raises:
            InputError: If there are other channels than one or three, neither raw nor
                as planes, or the format does not take so many pixels.
        """
        if (image == image[..., :1]).all():
            image = image[..., :1]
        if self.format == "raw":
            return image.tobytes()
        if self.planes:
            image = np.concatenate(np.split(image, image.shape[2], 2))
        if image.shape[2] not in (1, 3):
            raise InputError(
                f"{self} takes images of one or three channels, but got "
                f"{image.shape[2]}; raw, png+planes or webp+planes take any"
            )
        options: dict[str, Any] = dict(optimize=True)
        if self.format == "webp":
            options = dict(lossless=self.is_lossless, quality=self.quality or 100)
        elif self.format == "jpeg":
            options = dict(quality=self.quality)
        squeezed = image[..., 0] if image.shape[2] == 1 else image
        file = io.BytesIO()
        try:
            Image.fromarray(squeezed).save(file, self.format, **options)
        except Exception as e:  # the formats have limits of height and width
            raise InputError(
                f"{self} does not take an image of {image.shape[0]}x{image.shape[1]} "
                f"pixels (height x width; {describe_error(e)})"
            ) from e
        return file.getvalue()

    def decode(self, data: bytes, shape: tuple[int, int, int]) -> np.ndarray:
        """Returns the image.

        Args:
            data (bytes): What :meth:`encode` returned.
            shape (tuple[int, int, int]): Height, width and number of channels, which
                are checked before anything is unpacked.

        Raises:
            InputError: If the bytes are of no such image.
        """
        height, width, channels = shape
        if self.format == "raw":
            sizes = {height * width * n: n for n in (1, channels)}
            if len(data) not in sizes:
                raise InputError(
                    f"a raw image of {height}x{width} pixels (height x width) must "
                    f"have {' or '.join(map(str, sizes))} bytes, but got {len(data)}"
                )
            image = np.frombuffer(data, np.uint8).reshape(
                height, width, sizes[len(data)]
            )
        elif self.planes:
            stack = self._unpack(data, (height, height * channels), width, "L")
            image = np.concatenate(np.split(stack, len(stack) // height), 2)
        else:
            image = self._unpack(
                data, (height,), width, "RGB" if channels == 3 else "L"
            )
        return np.broadcast_to(image, shape)

    def _unpack(
        self, data: bytes, heights: tuple[int, ...], width: int, mode: str
    ) -> np.ndarray:
        """Returns the pixels of an image of one of the heights, (H, W, 1 or 3)."""
        try:
            with Image.open(io.BytesIO(data), formats=[self.format]) as file:
                if file.width != width or file.height not in heights:
                    accepted = " or ".join(f"{height}x{width}" for height in heights)
                    raise InputError(
                        f"the image must have {accepted} pixels (height x width), but "
                        f"has {file.height}x{file.width}"
                    )
                pixels = np.array(file.convert(mode))
        except InputError:
            raise
        except UnidentifiedImageError as e:  # its text names a buffer
            raise InputError(f"the bytes are no {self.format} image") from e
        except Exception as e:  # Pillow raises many kinds on broken files
            raise InputError(
                f"the bytes are no complete {self.format} image ({describe_error(e)})"
            ) from e
        return pixels.reshape(*pixels.shape[:2], -1)


def parse_codec(name: str) -> Codec:
    """Returns the codec of a name such as "png" or "webp-80".

    Raises:
        InputError: If there is none.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        raise InputError(f"a codec must be {ACCEPTED}, but got {name!r}")
    parts = found.groupdict()
    quality = None if parts["quality"] is None else int(parts["quality"])
    kind = parts["raw"] or parts["plain"] or parts["lossy"]
    return Codec(kind, quality, parts["planes"] is not None)
