"""Images as bytes."""

import io

import numpy as np
import pytest
from PIL import Image

from mmresizer.utils import InputError
from mmresizer_client.codecs import Codec, parse_codec

LOSSLESS = ["raw", "png", "webp", "png+planes", "webp+planes"]
LOSSY = ["webp-80", "jpeg-90", "webp-80+planes", "jpeg-90+planes"]


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
    if name != "raw" and "planes" not in name:  # another reader sees the same
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


@pytest.mark.parametrize("name", ["png+planes", "webp-80+planes", "jpeg-90+planes"])
def test_planes(name):
    """One below the other, for another reader, and any number of them."""
    image = make_image(channels=3)
    wide = np.concatenate([image, image[::-1]], 2)
    codec = parse_codec(name)
    data = codec.encode(wide)
    seen = np.array(Image.open(io.BytesIO(data)).convert("L"))
    back = codec.decode(data, wide.shape)
    for i in range(6):
        np.testing.assert_array_equal(seen[12 * i : 12 * i + 12], back[..., i])
    with pytest.raises(InputError, match=r"must have 12x20 or 36x20 pixels .* has 72x"):
        codec.decode(data, image.shape)


def test_planes_keep_what_eyes_do_not_see():
    """A checkerboard of two colours of one brightness."""
    board = np.indices((16, 16)).sum(0)[..., None] % 2
    image = np.where(board, [255, 0, 0], [0, 130, 0]).astype(np.uint8)
    errors = []
    for name in ("webp-90", "webp-90+planes"):
        codec = parse_codec(name)
        back = codec.decode(codec.encode(image), image.shape)
        errors.append(np.abs(back.astype(int) - image).mean())
    assert errors[1] < 0.2 * errors[0]


def test_refuses_more_pixels_than_a_format_takes():
    with pytest.raises(InputError, match="webp does not take an image of 16384x1 pix"):
        parse_codec("webp").encode(np.zeros((16384, 1, 1), np.uint8))


def test_refuses_other_channels():
    with pytest.raises(InputError, match="webp-80 takes images of one or three chann"):
        parse_codec("webp-80").encode(
            np.zeros((2, 2, 5), np.uint8) + np.arange(5, dtype="u1")
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
    with pytest.raises(InputError, match=r"11x20 "):
        codec.decode(data, (11, 20, 3))


def test_a_bomb_is_not_unpacked(monkeypatch):
    file = io.BytesIO()
    Image.new("L", (5000, 5000)).save(file, "png")
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("unpacked"))
    with pytest.raises(InputError, match="has 5000x5000"):
        Codec("png").decode(file.getvalue(), (12, 12, 3))


def test_another_format_is_refused():
    data = parse_codec("png").encode(make_image())
    with pytest.raises(InputError, match="no webp image"):
        parse_codec("webp").decode(data, (12, 20, 3))


@pytest.mark.parametrize(
    "name", ["", "jpeg", "jpeg-0", "jpeg-101", "png-3", "gif", "raw+planes"]
)
def test_refuses_names(name):
    with pytest.raises(InputError, match="a codec must be raw, png, webp"):
        parse_codec(name)
