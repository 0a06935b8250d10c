"""Loading of images that finds damaged files and avoids needless decoding."""

import os

import mmcv
import numpy as np
from mmcv.image.io import imread_flags
from mmcv.transforms import LoadImageFromFile as MMCVLoadImageFromFile
from mmengine import fileio
from PIL import ExifTags, Image, UnidentifiedImageError

from mmresizer.registry import TRANSFORMS
from mmresizer.utils import InputError
from mmresizer.utils.errors import check_choice, check_int, one_line
from mmresizer_client.images import decode_image

# EXIF orientations that turn an image by 90 degrees.
_QUARTER_TURNS = (5, 6, 7, 8)


def read_image_size(path: str | os.PathLike) -> tuple[int, int]:
    """Returns (height, width) that an image file has when loaded, from its header.

    Raises:
        InputError: If the file is missing or no image.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
            # Pillow gives TIFF files, and no others, the size after the turn.
            turned = (
                image.format != "TIFF"
                and image.getexif().get(ExifTags.Base.Orientation) in _QUARTER_TURNS
            )
    except (OSError, ValueError, SyntaxError) as e:
        raise InputError(f"cannot read the size of the image {str(path)!r}: {e}") from e
    return (width, height) if turned else (height, width)


@TRANSFORMS.register_module()
class LoadImageFromFile(MMCVLoadImageFromFile):
    """mmcv's transform of this name, but damaged files are refused by name.

    It has that name because MMDetection's inferencer looks for it in the pipeline.

    The decoder is Pillow's, which says what is wrong with a file. What the file says
    decides, never its name. Transparency is ignored, as in OpenCV: each pixel has the
    colour that the file stores. So are colour profiles. Of an animation or a file of
    several pages the first image is loaded. Grey images of up to 16 bits become images
    of 8 bits; Pillow would clip them at 255.

    Args:
        color_type (str): "color", "grayscale" or another one of mmcv's. Defaults to
            "color".
        imdecode_backend (str): Defaults to "pillow".
        min_size (int, optional): Height and width, in pixels, that suffice. A JPEG file
            at least 2, 4 or 8 times as large is decoded at a half, a quarter or an
            eighth of its size, by the inverse cosine transform of the decoder, in a
            fraction of the time. If the pipeline crops the image, the crop must still
            have enough pixels. It needs "pillow", and no color_type "unchanged".
            Defaults to None: the full size.
        **kwargs: Other arguments of :class:`mmcv.transforms.LoadImageFromFile`, but the
            deprecated ``file_client_args``.

    Raises:
        InputError: If ``color_type`` or ``min_size`` is none of those accepted,
            ``min_size`` is given with another decoder, or ``file_client_args`` is
            given.
    """

    def __init__(
        self,
        color_type: str = "color",
        imdecode_backend: str = "pillow",
        min_size: int | None = None,
        **kwargs,
    ):
        if kwargs.get("file_client_args") is not None:
            raise InputError("images are loaded by backend_args, not file_client_args")
        check_choice("color_type", color_type, imread_flags)
        super().__init__(
            color_type=color_type, imdecode_backend=imdecode_backend, **kwargs
        )
        self.is_grey = color_type.startswith("grayscale")
        self._decodes = imdecode_backend == "pillow" and color_type != "unchanged"
        if min_size is not None:
            check_int("min_size", min_size, 1)
            if not self._decodes:
                raise InputError(
                    "min_size needs imdecode_backend='pillow' and another color_type "
                    f"than 'unchanged', got {imdecode_backend!r} and {color_type!r}"
                )
        self.min_size = min_size

    def transform(self, results: dict) -> dict | None:
        """Loads ``results['img_path']`` into ``results['img']``, BGR, uint8.

        It has the shape (H, W, 3), or (H, W) if it is grey. ``img_shape`` and
        ``ori_shape`` are the size of the decoded image. An image that is there without
        a path is not loaded, but becomes grey if ``color_type`` says so.

        Raises:
            InputError: If the file is missing, is no image or is truncated.
        """
        # MMPretrain's inferencers load images themselves, in colour, but remove only
        # MMPretrain's loader from the pipeline.
        if "img_path" not in results and "img" in results:
            if self.is_grey and results["img"].shape[2:] == (3,):
                results["img"] = mmcv.bgr2gray(results["img"])
            return results
        path = results["img_path"]
        try:
            if not self._decodes:
                return super().transform(results)
            image = self._decode(fileio.get(path, backend_args=self.backend_args))
        except Exception as e:
            if self.ignore_empty:
                return None
            known = isinstance(e, UnidentifiedImageError)  # its text names a buffer
            reason = "no known format" if known else one_line(e)
            raise InputError(
                f"cannot load the image {path!r}, expected a complete image file "
                f"({reason})"
            ) from e
        results["img"] = image.astype(np.float32) if self.to_float32 else image
        results["img_shape"] = results["ori_shape"] = image.shape[:2]
        return results

    def _decode(self, content: bytes) -> np.ndarray:
        turns = not self.color_type.endswith("ignore_orientation")
        rgb = decode_image(content, self.min_size, turns)
        return np.array(rgb.convert("L")) if self.is_grey else np.array(rgb)[..., ::-1]
