"""Decoding of image files."""

import io

import numpy as np
from PIL import Image, ImageOps, TiffImagePlugin

from .errors import InputError


def decode_image(
    content: bytes,
    min_size: int | None = None,
    turns: bool = True,
    formats: list[str] | tuple[str, ...] | None = None,
    max_pixels: int | None = None,
) -> Image.Image:
    """Decodes an image file.

    Args:
        content (bytes): The file.
        min_size (int, optional): Height and width that suffice. A JPEG file at least 2,
            4 or 8 times as large is decoded at a fraction of its size.
        turns (bool): Whether the image is turned as its EXIF data say. Defaults to
            True.
        formats (list[str] | tuple[str, ...], optional): Those accepted, as Pillow
            calls them. All by default.
        max_pixels (int, optional): Height times width of what is accepted, which is
            checked before anything is unpacked.

    Returns:
        Image.Image: Of mode RGB. Grey images of up to 16 bits become images of 8 bits.

    Raises:
        InputError: If there are more pixels than accepted.
        Exception: Any of those that Pillow raises, if this is no complete image.
    """
    try:
        opened = Image.open(io.BytesIO(content), formats=formats)
    except Image.DecompressionBombError as e:
        most = max_pixels or 2 * (Image.MAX_IMAGE_PIXELS or 0)
        raise InputError(f"an image may have {most} pixels, but has more") from e
    with opened as image:
        if max_pixels is not None and image.width * image.height > max_pixels:
            raise InputError(
                f"an image may have {max_pixels} pixels, but this one has "
                f"{image.height}x{image.width} (height x width)"
            )
        if min_size is not None:
            # Only JPEG files have lower scales.
            image.draft(None, (min_size, min_size))
        if turns:
            ImageOps.exif_transpose(image, in_place=True)
        return _reduce_depth(image, content).convert("RGB")


def _reduce_depth(image: Image.Image, content: bytes) -> Image.Image:
    """Returns an image of 8 bits or fewer, which may be the image itself.

    Raises:
        ValueError: If the range of its pixels is unknown, or Pillow reads them wrongly.
    """
    bits, is_negative, is_misread = 16, False, False
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        tags = image.tag_v2
        bits = tags.get(TiffImagePlugin.BITSPERSAMPLE, (1,))[0]
        is_negative = tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0
        planes = tags.get(TiffImagePlugin.PLANAR_CONFIGURATION) == 2
        is_misread = planes and bits > 8 and image.info.get("compression") == "raw"
    elif image.format == "JPEG2000" and image.mode != "I;16":
        # The marker segment SIZ says the bits of each channel, less one. Of more than
        # 8 bits white becomes black.
        is_misread = content[content.index(b"\xff\x4f\xff\x51") + 42] & 0x7F > 7
    if is_misread:
        raise ValueError(
            f"Pillow misreads {image.format} files of more than 8 bits a colour that "
            "are stored like this; imdecode_backend='cv2' reads them"
        )
    if not image.mode.startswith(("I", "F")):
        return image
    if not image.mode.startswith("I;16") and (image.mode, image.format) != ("I", "PPM"):
        raise ValueError(f"pixels of mode {image.mode!r}, which have no known range")
    grey = (np.asarray(image) * (255 / (2**bits - 1))).round().astype(np.uint8)
    return Image.fromarray(255 - grey if is_negative else grey)
