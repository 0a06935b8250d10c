"""Images of uint8 as bytes that are sent, and back."""

import io
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from mmresizer.utils import InputError
from mmresizer.utils.errors import describe_error

ACCEPTED = (
    "raw, png, webp (without loss), webp-QUALITY or jpeg-QUALITY with a quality from 1 "
    "to 100"
)
_NAME = re.compile(r"(raw|png|webp)|(webp|jpeg)-([1-9]\d?|100)", re.ASCII)


@dataclass(frozen=True)
class Codec:
    """A way to write an image.

    Attributes:
        format (str): "raw", "png", "webp" or "jpeg". Raw is one byte for each channel
            of each pixel, row by row.
        quality (int, optional): From 1 to 100; None is without loss.
    """

    format: str
    quality: int | None = None

    @property
    def is_lossless(self) -> bool:
        """Whether an image comes back as it was."""
        return self.quality is None

    def __str__(self) -> str:
        """Returns the name that :func:`parse_codec` takes."""
        return self.format + ("" if self.quality is None else f"-{self.quality}")

    def encode(self, image: np.ndarray) -> bytes:
        """Returns the bytes of an image.

        Args:
            image (np.ndarray): Shape (H, W, 3), RGB, or (H, W, 1), uint8. One whose
                three channels are equal is sent as one channel.
        """
        if (image == image[..., :1]).all():
            image = image[..., :1]
        if self.format == "raw":
            return image.tobytes()
        options: dict[str, Any] = dict(optimize=True)
        if self.format == "webp":
            options = dict(lossless=self.is_lossless, quality=self.quality or 100)
        elif self.format == "jpeg":
            options = dict(quality=self.quality)
        squeezed = image[..., 0] if image.shape[2] == 1 else image
        file = io.BytesIO()
        Image.fromarray(squeezed).save(file, self.format, **options)
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
        else:
            image = self._unpack(data, height, width, channels)
        return np.broadcast_to(image, shape)

    def _unpack(
        self, data: bytes, height: int, width: int, channels: int
    ) -> np.ndarray:
        try:
            with Image.open(io.BytesIO(data), formats=[self.format]) as file:
                if file.size != (width, height):
                    raise InputError(
                        f"the image must have {height}x{width} pixels (height x "
                        f"width), but has {file.height}x{file.width}"
                    )
                pixels = np.array(file.convert("RGB" if channels == 3 else "L"))
        except InputError:
            raise
        except Exception as e:  # Pillow raises many kinds on broken files
            raise InputError(
                f"the bytes are no complete {self.format} image ({describe_error(e)})"
            ) from e
        return pixels.reshape(height, width, channels)


def parse_codec(name: str) -> Codec:
    """Returns the codec of a name such as "png" or "webp-80".

    Raises:
        InputError: If there is none.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        raise InputError(f"a codec must be {ACCEPTED}, but got {name!r}")
    plain, lossy, quality = found.groups()
    return Codec(plain) if plain else Codec(lossy, int(quality))
