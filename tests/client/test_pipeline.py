"""What a client does with a photograph, against MMPretrain's own transforms."""

import io
import zlib

import cv2
import numpy as np
import pytest
from mmengine.dataset import Compose
from mmpretrain.registry import TRANSFORMS
from PIL import Image

from mmresizer_client import InputError, Pipeline

LOAD = dict(type="mmresizer.LoadImageFromFile")
PACK = dict(type="PackInputs")
STEPS = {
    "nothing": [],
    "resize": [dict(type="Resize", scale=(40, 30))],
    "one number": [dict(type="Resize", scale=50, interpolation="area")],
    "edges": [dict(type="ResizeEdge", scale=64), dict(type="CenterCrop", crop_size=56)],
    "long": [dict(type="ResizeEdge", scale=70, edge="long", interpolation="bicubic")],
    "width": [dict(type="ResizeEdge", scale=33, edge="width", backend="pillow")],
    "height": [
        dict(type="mmpretrain.ResizeEdge", scale=33, edge="height"),
        dict(type="CenterCrop", crop_size=(20, 31)),
    ],
    "larger crop": [dict(type="CenterCrop", crop_size=90)],
    "Lanczos": [
        dict(type="Resize", scale=(41, 57), backend="pillow", interpolation="lanczos")
    ],
}


def write_photo(height, width, seed=0, **options):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    smooth = cv2.GaussianBlur(pixels, (5, 5), 0)
    file = io.BytesIO()
    Image.fromarray(smooth).save(file, **options)
    return file.getvalue()


@pytest.mark.parametrize("steps", STEPS.values(), ids=STEPS)
@pytest.mark.parametrize("size", [(81, 100), (100, 81), (97, 97), (60, 131)])
def test_is_the_test_pipeline(steps, size, tmp_path):
    photo = write_photo(*size, format="JPEG", quality=90)
    (tmp_path / "a.jpg").write_bytes(photo)
    config = [LOAD, *steps, PACK]
    theirs = Compose([TRANSFORMS.build(dict(step)) for step in config])
    expected = theirs(dict(img_path=str(tmp_path / "a.jpg"), gt_label=0))["inputs"]
    # A model card is JSON, which has lists alone.
    ours = Pipeline(
        [
            {k: list(v) if isinstance(v, tuple) else v for k, v in step.items()}
            for step in config
        ]
    )(photo)
    assert (ours == expected.numpy()[::-1].transpose(1, 2, 0)).all()


def test_turned_and_reduced_photographs(tmp_path):
    exif = Image.Exif()
    exif[274] = 6  # a quarter turn
    photo = write_photo(320, 480, format="JPEG", quality=90, exif=exif)
    (tmp_path / "a.jpg").write_bytes(photo)
    steps = [LOAD | dict(min_size=64), dict(type="ResizeEdge", scale=64), PACK]
    theirs = Compose([TRANSFORMS.build(dict(step)) for step in steps])
    expected = theirs(dict(img_path=str(tmp_path / "a.jpg"), gt_label=0))["inputs"]
    ours = Pipeline(steps)(photo)
    assert ours.shape == (96, 64, 3)
    assert (ours == expected.numpy()[::-1].transpose(1, 2, 0)).all()


@pytest.mark.parametrize(
    ("steps", "named"),
    [
        ([PACK, LOAD], "'LoadImageFromFile'"),
        ([LOAD, dict(type="Rotate", angle=3)], "'Rotate'"),
        ([LOAD, LOAD], "'LoadImageFromFile'"),
        ([dict(LOAD, color_type="grayscale")], "'grayscale'"),
        ([dict(LOAD, to_float32=True)], "to_float32"),
        ([LOAD, dict(type="Resize", scale=(3, 4), keep_ratio=True)], "keep_ratio"),
        ([LOAD, dict(type="Resize", scale=(3, 4), backend="tiff")], "tiff"),
        ([LOAD, dict(type="CenterCrop", crop_size=3, auto_pad=True)], "auto_pad"),
        ([LOAD, dict(type="ResizeEdge", scale=3, interpolation="x")], "'x'"),
        ([LOAD, dict(type="ResizeEdge", scale=3, edge="left")], "'left'"),
    ],
)
def test_what_it_does_not_know_is_named(steps, named):
    with pytest.raises(InputError, match=named):
        Pipeline(steps)


@pytest.mark.parametrize(
    ("content", "options", "reason"),
    [
        (b"", {}, "no image file$"),
        (b"no image", {}, "no image file$"),
        (write_photo(60, 80, format="JPEG")[:-500], {}, "truncated"),
        (write_photo(60, 80, format="GIF"), dict(formats=["JPEG", "PNG"]), "JPEG, PNG"),
        (write_photo(60, 80, format="PNG"), dict(max_pixels=4799), "4799.*60x80"),
    ],
)
def test_bad_photographs(content, options, reason):
    with pytest.raises(InputError, match=reason):
        Pipeline([LOAD])(content, **options)


def test_long_thin_images_have_a_limit_too():
    """The short side becomes 224 pixels, and the long one 4 million."""
    photo = write_photo(20_000, 1, format="PNG")
    steps = Pipeline([LOAD, dict(type="ResizeEdge", scale=224)])
    with pytest.raises(InputError, match="20000x1, becomes 4480000x224"):
        steps(photo, max_pixels=50_000_000)


def test_a_bomb_is_not_unpacked():
    """A header alone says 65,500 x 65,500 pixels; unpacked it would be 12 GB."""
    header = bytearray(write_photo(8, 8, format="PNG"))
    header[16:24] = (65500).to_bytes(4, "big") * 2
    header[29:33] = zlib.crc32(header[12:29]).to_bytes(4, "big")
    with pytest.raises(InputError, match="may have 9 pixels, but has more"):
        Pipeline([LOAD])(bytes(header), max_pixels=9)
    small = io.BytesIO()
    Image.new("1", (20000, 8000)).save(small, "PNG")
    assert len(small.getvalue()) < 30_000
    with pytest.raises(InputError, match="8000x20000"):
        Pipeline([LOAD])(small.getvalue(), max_pixels=50_000_000)
