"""Loading of images that notices damaged files and spares needless decoding."""

import io
import os

import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmengine import fileio
from PIL import Image, ImageOps, UnidentifiedImageError

from mmresizer.registry import TRANSFORMS
from mmresizer.utils import InputError
from mmresizer.utils.errors import check_int, one_line

# Files that may hold more than 8 bits a pixel.
_DEEP_FORMATS = (".png", ".tif", ".tiff", ".pgm")


# EXIF orientations that turn an image by a quarter.
_QUARTER_TURNS = (5, 6, 7, 8)
_ORIENTATION_TAG = 0x0112


def read_image_size(path: str | os.PathLike) -> tuple[int, int]:
    """Returns (height, width) of an image file as it is loaded, from its header.

    Raises:
        InputError: If the file is missing or no image.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(_ORIENTATION_TAG) in _QUARTER_TURNS
    except (OSError, ValueError, SyntaxError) as e:
        raise InputError(f"cannot read the size of the image {str(path)!r}: {e}") from e
    return (width, height) if turned else (height, width)


@TRANSFORMS.register_module()
class LoadImage(LoadImageFromFile):
    """:class:`mmcv.transforms.LoadImageFromFile` that refuses damaged files by name.

    The decoder is Pillow's, which tells what is wrong with a file. Grey images of 16
    bits, which it would cut off at 255, become images of 8.

    Args:
        imdecode_backend (str): Defaults to "pillow".
        min_size (int, optional): Height and width, in pixels, that suffice. A JPEG file
            at least 2, 4 or 8 times as large is decoded at a half, a quarter or an
            eighth of its size, by the decoder's inverse cosine transform, in a fraction
            of the time. A pipeline that crops a part of the image needs as many pixels
            in the crop. For colour images and "pillow". Defaults to None: the full
            size.
        **kwargs: Other arguments of :class:`mmcv.transforms.LoadImageFromFile`.

    Raises:
        InputError: If ``min_size`` is out of its range, or given with another decoder,
            for grey images or with ``file_client_args``.
    """

    def __init__(
        self, imdecode_backend: str = "pillow", min_size: int | None = None, **kwargs
    ):
        super().__init__(imdecode_backend=imdecode_backend, **kwargs)
        if min_size is not None:
            check_int("min_size", min_size, 1)
            if (self.imdecode_backend, self.color_type) != ("pillow", "color"):
                raise InputError(
                    "min_size needs imdecode_backend='pillow' and color_type='color', "
                    f"got {self.imdecode_backend!r} and {self.color_type!r}"
                )
            if self.file_client_args is not None:
                raise InputError("min_size needs backend_args, not file_client_args")
        self.min_size = min_size

    def transform(self, results: dict) -> dict | None:
        """Loads ``results['img_path']`` into ``results['img']``, (H, W, C), BGR, uint8.

        ``img_shape`` and ``ori_shape`` are those of the decoded image. An image that is
        there already, without a path, is left as it is.

        Raises:
            InputError: If the file is missing, is no image or is truncated.
        """
        # MMPretrain's inferencers load images, and take only its own loader out of the
        # pipeline.
        if "img_path" not in results and "img" in results:
            return results
        try:
            image = self._load_reduced(results["img_path"])
            if image is None:
                return super().transform(results)
        except Exception as e:
            if self.ignore_empty:
                return None
            known = isinstance(e, UnidentifiedImageError)  # its text names a buffer
            reason = "no known format" if known else one_line(e)
            raise InputError(
                f"cannot load the image {results['img_path']!r}, expected a complete "
                f"image file ({reason})"
            ) from e
        results["img"] = image.astype(np.float32) if self.to_float32 else image
        results["img_shape"] = results["ori_shape"] = image.shape[:2]
        return results

    def _load_reduced(self, path: str) -> np.ndarray | None:
        """Returns an image that mmcv's loader does not make, or None if it does."""
        if self.min_size is None and not str(path).lower().endswith(_DEEP_FORMATS):
            return None
        content = fileio.get(path, backend_args=self.backend_args)
        with Image.open(io.BytesIO(content)) as image:
            if image.mode.startswith(("I", "F")):
                return self._reduce_depth(image)
            if self.min_size is None:
                return None
            if image.draft("RGB", (self.min_size, self.min_size)) is None:
                return None  # no JPEG file
            rgb = np.array(ImageOps.exif_transpose(image).convert("RGB"))
        return rgb[:, :, ::-1]

    def _reduce_depth(self, image: Image.Image) -> np.ndarray:
        if not image.mode.startswith("I;16"):
            raise ValueError(
                f"pixels of mode {image.mode!r}, which have no known range"
            )
        grey = (np.asarray(image) / 257).round().astype(np.uint8)
        return grey if self.color_type == "grayscale" else np.dstack([grey] * 3)
