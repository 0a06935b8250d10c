"""Images as bytes."""

import io

import numpy as np
import pytest
from PIL import Image

from mmresizer.deploy.codecs import Codec, parse_codec
from mmresizer.utils import InputError

LOSSLESS = ["raw", "png", "webp"]
LOSSY = ["webp-80", "jpeg-90"]


def make_image(height=12, width=20, channels=3):
    image = np.random.default_rng(0).integers(0, 256, (3, 5, channels), np.uint8)
    pixels = Image.fromarray(image if channels == 3 else image[..., 0])
    smooth = np.array(pixels.resize((width, height), Image.Resampling.BICUBIC))
    return smooth.reshape(height, width, channels)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", LOSSLESS + LOSSY)
def test_round_trip(name, channels):
    codec = parse_codec(name)
    assert str(codec) == name
    image = make_image(channels=channels)
    data = codec.encode(image)
    back = codec.decode(data, image.shape)
    assert back.dtype == np.uint8
    if name in LOSSLESS:
        np.testing.assert_array_equal(back, image)
    else:
        assert back.shape == image.shape
        assert 0 < np.abs(back.astype(int) - image).mean() < 16
    if name != "raw":  # another reader sees the same
        file = Image.open(io.BytesIO(data))
        seen = np.array(file.convert("RGB" if channels == 3 else "L"))
        seen = seen.reshape(image.shape)
        np.testing.assert_array_equal(seen, back)


def test_bytes():
    image = make_image()
    assert parse_codec("raw").encode(image) == bytes(image.flatten().tolist())
    assert len(parse_codec("jpeg-20").encode(image)) < len(
        parse_codec("jpeg-95").encode(image)
    )


@pytest.mark.parametrize("name", [*LOSSLESS, "jpeg-90"])
def test_grey_images_are_sent_as_one_channel(name):
    codec = parse_codec(name)
    grey = make_image(channels=1)
    image = np.repeat(grey, 3, 2)
    data = codec.encode(image)
    assert data == codec.encode(grey)
    np.testing.assert_array_equal(
        codec.decode(data, image.shape), codec.decode(data, grey.shape).repeat(3, 2)
    )


@pytest.mark.parametrize("name", LOSSLESS + LOSSY)
def test_refuses_what_is_no_such_image(name):
    codec = parse_codec(name)
    image = make_image()
    data = codec.encode(image)
    for broken in (data[: len(data) // 2], data[:3], b"", b"\0" * len(data) * 2):
        with pytest.raises(InputError):
            codec.decode(broken, image.shape)
    with pytest.raises(InputError, match=r"11x20 pixels"):
        codec.decode(data, (11, 20, 3))


def test_a_bomb_is_not_unpacked(monkeypatch):
    file = io.BytesIO()
    Image.new("L", (20000, 20000)).save(file, "png")
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("unpacked"))
    with pytest.raises(InputError):
        Codec("png").decode(file.getvalue(), (12, 12, 3))


def test_another_format_is_refused():
    data = parse_codec("png").encode(make_image())
    with pytest.raises(InputError, match="no complete webp image"):
        parse_codec("webp").decode(data, (12, 20, 3))


@pytest.mark.parametrize("name", ["", "jpeg", "jpeg-0", "jpeg-101", "png-3", "gif"])
def test_refuses_names(name):
    with pytest.raises(InputError, match="a codec must be raw, png, webp"):
        parse_codec(name)
