import cv2
import numpy as np
import pytest
from mmcv.transforms import LoadImageFromFile

from mmresizer.datasets import LoadImage
from mmresizer.utils import InputError


@pytest.mark.parametrize("color_type", ["color", "grayscale"])
def test_loads_like_mmcv(tmp_path, color_type):
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    path = str(tmp_path / "image.png")
    cv2.imwrite(path, image)
    actual = LoadImage(color_type=color_type)({"img_path": path})
    expected = LoadImageFromFile(color_type=color_type)({"img_path": path})
    assert actual["img_shape"] == expected["img_shape"] == (30, 40)
    difference = actual["img"].astype(int).squeeze() - expected["img"].squeeze()
    # The two decoders weigh the colours of a grey value alike, up to rounding.
    assert np.abs(difference).max() <= (color_type == "grayscale")


def damage(tmp_path, kind):
    path = tmp_path / f"{kind}.jpg"
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    cv2.imwrite(str(path), image)
    if kind == "truncated":
        path.write_bytes(path.read_bytes()[:-400])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("not an image")
    elif kind == "missing":
        path.unlink()
    return str(path)


@pytest.mark.parametrize("kind", ["truncated", "empty", "text", "missing"])
def test_names_damaged_files(tmp_path, kind):
    path = damage(tmp_path, kind)
    with pytest.raises(InputError, match="expected a complete image file") as e:
        LoadImage()({"img_path": path})
    assert path in str(e.value)
    assert "\n" not in str(e.value)
