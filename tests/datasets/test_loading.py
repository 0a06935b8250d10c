import cv2
import numpy as np
import pytest
from mmcv.transforms import LoadImageFromFile as MMCVLoadImageFromFile
from PIL import Image

from mmresizer.datasets import LoadImageFromFile
from mmresizer.utils import InputError


@pytest.mark.parametrize("color_type", ["color", "grayscale"])
def test_loads_like_mmcv(tmp_path, color_type):
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    path = str(tmp_path / "image.png")
    cv2.imwrite(path, image)
    actual = LoadImageFromFile(color_type=color_type)({"img_path": path})
    expected = MMCVLoadImageFromFile(color_type=color_type)({"img_path": path})
    assert actual["img_shape"] == expected["img_shape"] == (30, 40)
    difference = actual["img"].astype(int).squeeze() - expected["img"].squeeze()
    # The two decoders weigh the colours of a grey value alike, up to rounding.
    assert np.abs(difference).max() <= (color_type == "grayscale")


def photo(height, width):
    """A smooth image, on which scaled decoding and averaging nearly agree."""
    y, x = np.mgrid[:height, :width] / 40
    return np.stack([np.sin(y + c) * np.cos(x - c) for c in range(3)], -1) * 100 + 120


@pytest.mark.parametrize(
    ("size", "min_size", "expected"),
    [
        ((800, 640), 80, (100, 80)),  # an eighth
        ((800, 640), 81, (200, 160)),
        ((800, 640), 320, (400, 320)),
        ((800, 640), 321, (800, 640)),
        ((800, 640), 2000, (800, 640)),
        ((801, 643), 300, (401, 322)),
    ],
)
def test_decodes_large_jpegs_at_a_lower_scale(tmp_path, size, min_size, expected):
    path = str(tmp_path / "image.jpg")
    cv2.imwrite(path, photo(*size), [cv2.IMWRITE_JPEG_QUALITY, 95])
    results = LoadImageFromFile(min_size=min_size)({"img_path": path})
    assert results["img"].shape == (*expected, 3)
    assert results["img_shape"] == results["ori_shape"] == expected
    full = MMCVLoadImageFromFile()({"img_path": path})["img"]
    averaged = cv2.resize(full, expected[::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(results["img"].astype(int) - averaged).mean() < 2


def test_reduced_images_are_upright(tmp_path):
    """A photograph whose EXIF data say that the camera was turned."""
    path = str(tmp_path / "image.jpg")
    image = Image.fromarray(photo(400, 600).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn by 90 degrees
    image.save(path, exif=exif)
    results = LoadImageFromFile(min_size=100)({"img_path": path})
    assert results["img"].shape == (150, 100, 3)


def test_other_formats_are_decoded_in_full(tmp_path):
    path = str(tmp_path / "image.png")
    cv2.imwrite(path, photo(80, 60))
    expected = LoadImageFromFile()({"img_path": path})["img"]
    found = LoadImageFromFile(min_size=8)({"img_path": path})["img"]
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("min_size", [0, -1, 2.5, "8", True])
def test_refuses_minimum_sizes(min_size):
    with pytest.raises(InputError, match="min_size must be an int of 1 or more"):
        LoadImageFromFile(min_size=min_size)


@pytest.mark.parametrize(
    "kwargs", [dict(imdecode_backend="cv2"), dict(color_type="unchanged")]
)
def test_refuses_to_reduce_with_other_decoders(kwargs):
    with pytest.raises(InputError, match="min_size needs imdecode_backend='pillow'"):
        LoadImageFromFile(min_size=8, **kwargs)


@pytest.mark.parametrize(
    ("kwargs", "sentence"),
    [
        (dict(color_type="x"), "color_type must be one of color, .*, got 'x'"),
        (dict(file_client_args={}), "loaded by backend_args, not file_client_args"),
    ],
)
def test_refuses_arguments(kwargs, sentence):
    with pytest.raises(InputError, match=sentence):
        LoadImageFromFile(**kwargs)


def test_images_of_an_inferencer_become_grey():
    """MMPretrain's inferencers load colour images, whatever the pipeline says."""
    image = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    assert LoadImageFromFile()({"img": image})["img"] is image
    load = LoadImageFromFile(color_type="grayscale")
    expected = image @ [0.114, 0.587, 0.299]
    assert np.abs(load({"img": image})["img"] - expected).max() <= 1
    grey = image[..., 0]
    assert load({"img": grey})["img"] is grey


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
@pytest.mark.parametrize("min_size", [None, 16])
def test_names_damaged_files(tmp_path, kind, min_size):
    path = damage(tmp_path, kind)
    with pytest.raises(InputError, match="expected a complete image file") as e:
        LoadImageFromFile(min_size=min_size)({"img_path": path})
    assert path in str(e.value)
    assert "\n" not in str(e.value)
