"""Resizing without distortion to few shapes, so that images make batches."""

import math
from collections.abc import Sequence

import mmcv
from mmcv.transforms import BaseTransform

from mmresizer.registry import TRANSFORMS
from mmresizer.utils import InputError

# The ratios of cameras and screens, width over height.
_RATIOS = (1 / 2, 9 / 16, 2 / 3, 3 / 4, 4 / 5, 1, 5 / 4, 4 / 3, 3 / 2, 16 / 9, 2)


@TRANSFORMS.register_module()
class AspectRatioResize(BaseTransform):
    """Resizes an image to the nearest of a few aspect ratios, all of about one area.

    The image is scaled evenly until it covers the shape. The rest is cut off, half at
    each end: at most an eighth of one side, unless the image is longer than the longest
    shape. Use it with a resizer that has ``scale_factor`` and not ``output_size``, so
    that the ratio is kept. A batch must have one shape:
    :class:`mmresizer.datasets.SameShapeBatchSampler` makes such batches.

    Args:
        size (int): Height and width of the square shape in pixels; the other shapes
            have about its area.
        ratios (Sequence[float]): Width over height. Defaults to 1:2, 9:16, 2:3, 3:4,
            4:5, 1:1 and their inverses.
        divisor (int): Heights and widths are multiples of it. Defaults to 16.
        interpolation (str): Defaults to "bicubic".
        backend (str): "pillow", which antialiases, or "cv2". Defaults to "pillow".

    Raises:
        InputError: If ``size`` is no positive multiple of ``divisor``, or a ratio is
            not positive.
    """

    def __init__(
        self,
        size: int,
        ratios: Sequence[float] = _RATIOS,
        divisor: int = 16,
        interpolation: str = "bicubic",
        backend: str = "pillow",
    ):
        if type(size) is not int or divisor < 1 or size < 1 or size % divisor:
            raise InputError(
                f"size must be a positive multiple of divisor ({divisor!r}), got "
                f"{size!r}"
            )
        if not ratios or min(ratios) <= 0:
            raise InputError(f"ratios must be positive numbers, got {ratios!r}")
        self.interpolation = interpolation
        self.backend = backend
        self.shapes = [
            tuple(
                max(1, round(size * factor / divisor)) * divisor
                for factor in (ratio**-0.5, ratio**0.5)
            )
            for ratio in sorted(ratios)
        ]

    def shape_of(self, height: int, width: int) -> tuple[int, int]:
        """Returns the (height, width) that an image of a size is resized to."""
        ratio = math.log(width / height)
        return min(self.shapes, key=lambda hw: abs(math.log(hw[1] / hw[0]) - ratio))

    def transform(self, results: dict) -> dict:
        """Resizes ``results['img']``, (H, W, C), and sets ``img_shape``."""
        image = results["img"]
        height, width = image.shape[:2]
        out_height, out_width = self.shape_of(height, width)
        factor = max(out_height / height, out_width / width)
        # Rounding must not make it smaller than the shape.
        scaled = (
            max(out_width, round(width * factor)),
            max(out_height, round(height * factor)),
        )
        image = mmcv.imresize(
            image, scaled, interpolation=self.interpolation, backend=self.backend
        )
        top, left = (scaled[1] - out_height) // 2, (scaled[0] - out_width) // 2
        results["img"] = image[top : top + out_height, left : left + out_width]
        results["img_shape"] = (out_height, out_width)
        return results
