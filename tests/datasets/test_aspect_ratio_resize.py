import cv2
import numpy as np
import pytest
from mmcv.transforms import Compose
from PIL import Image

from mmresizer.datasets import AspectRatioResize
from mmresizer.datasets.transforms import read_image_size
from mmresizer.utils import InputError


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((480, 640), (384, 512)),  # 4:3, 443 x 591 of 512 x 512, in sixteens
        ((640, 480), (512, 384)),
        ((333, 500), (368, 544)),
        ((300, 300), (448, 448)),
        ((100, 900), (320, 640)),  # longer than the longest
    ],
)
def test_shapes(size, expected):
    image = np.zeros((*size, 3), np.uint8)
    results = AspectRatioResize(448).transform({"img": image})
    assert results["img"].shape == (*expected, 3)
    assert results["img_shape"] == expected


def test_keeps_the_middle_and_circles_round():
    """A disc stays one, in the middle, with its part of the area."""
    image = np.zeros((310, 500, 3), np.uint8)
    cv2.circle(image, (249, 154), 100, (255, 255, 255), -1)
    resized = AspectRatioResize(448).transform({"img": image})["img"]
    rows, columns = np.nonzero(resized[..., 0] > 127)
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    assert abs(height - width) <= 1
    assert rows.mean() == pytest.approx(resized.shape[0] / 2, abs=1.5)
    assert columns.mean() == pytest.approx(resized.shape[1] / 2, abs=1.5)
    factor = max(resized.shape[0] / 310, resized.shape[1] / 500)
    assert height == pytest.approx(201 * factor, abs=2)


def test_cuts_off_little():
    """Of any image between 1:2 and 2:1, and no shape is far from the area asked for."""
    resize = AspectRatioResize(448)
    for ratio in np.linspace(0.5, 2, 200):
        height, width = 1000, round(1000 * ratio)
        shape = resize.shape_of(height, width)
        change = (shape[1] / shape[0]) / (width / height)
        assert max(change, 1 / change) < 1.14
        assert shape[0] * shape[1] == pytest.approx(448**2, rel=0.04)
        assert [side % 16 for side in shape] == [0, 0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(size=450), r"positive multiple of divisor \(16\), got 450"),
        (dict(size=0), "got 0"),
        (dict(size=448, ratios=[]), r"ratios must be positive numbers, got \[\]"),
        (dict(size=448, ratios=[1, 0]), "got"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(InputError, match=message):
        AspectRatioResize(**arguments)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_header_and_loaded_image_agree(orientation, tmp_path):
    """Photographs taken upright are stored lying, with a mark."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "photo.jpg"
    Image.new("RGB", (40, 30)).save(path, exif=exif)
    load = Compose([dict(type="mmresizer.LoadImageFromFile")])
    assert read_image_size(path) == load({"img_path": str(path)})["img"].shape[:2]


def test_no_header(tmp_path):
    path = tmp_path / "text.jpg"
    path.write_text("no image")
    with pytest.raises(InputError, match=r"text\.jpg"):
        read_image_size(path)
