"""Loading of images that notices damaged files."""

from mmcv.transforms import LoadImageFromFile

from mmresizer.registry import TRANSFORMS
from mmresizer.utils import InputError


@TRANSFORMS.register_module()
class LoadImage(LoadImageFromFile):
    """:class:`mmcv.transforms.LoadImageFromFile` that refuses damaged files by name.

    The decoder is Pillow's, which tells what is wrong with a file.

    Args:
        imdecode_backend (str): Defaults to "pillow".
        **kwargs: Other arguments of :class:`mmcv.transforms.LoadImageFromFile`.
    """

    def __init__(self, imdecode_backend: str = "pillow", **kwargs):
        super().__init__(imdecode_backend=imdecode_backend, **kwargs)

    def transform(self, results: dict) -> dict | None:
        """Loads ``results['img_path']`` into ``results['img']``, (H, W, C), BGR, uint8.

        Raises:
            InputError: If the file is missing, is no image or is truncated.
        """
        try:
            return super().transform(results)
        except Exception as e:
            raise InputError(
                f"cannot load the image {results['img_path']!r}, expected a complete "
                f"image file ({' '.join(str(e).split())})"
            ) from e
