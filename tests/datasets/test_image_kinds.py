"""The loader, and all that images come as: formats, depths, colours, names, damage.

The pixels expected are those that were written, by a formula where the format stores
other values; of lossy files those of OpenCV, whose decoders are not Pillow's code.
"""

import io
import struct

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from mmresizer.datasets import LoadImageFromFile
from mmresizer.datasets.transforms import read_image_size
from mmresizer.utils import InputError

_Y, _X = np.mgrid[:40, :56]
RGB = np.stack(
    [np.sin(_Y / 13 + c) * np.cos(_X / 17 - c) * 120 + 128 for c in range(3)], -1
).astype(np.uint8)
GREY = RGB[..., 0]
ALPHA = (_X * 4).astype(np.uint8)
DEEP = np.linspace(0, 65535, GREY.size).reshape(GREY.shape).round().astype(np.uint16)
DEEP_RGB = np.dstack([DEEP, DEEP[::-1], DEEP[:, ::-1]])
BITS = GREY > 128
PALETTE = np.random.default_rng(0).integers(0, 256, (16, 3), np.uint8)
INDICES = (_X // 4 + _Y // 8).astype(np.uint8) % 16
C, M, Y, K = CMYK = np.moveaxis(np.dstack([RGB, GREY // 2]), -1, 0)
# Stored image -> shown image, as the EXIF standard defines the orientations; here the
# inverse, which makes the file of an upright RGB.
TURNS = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.swapaxes(0, 1),
    6: np.rot90,
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a, -1),
}
TAILS = dict(
    PNG="png", JPEG="jpg", WEBP="webp", TIFF="tif", BMP="bmp", GIF="gif", PPM="ppm",
    JPEG2000="jp2",
)  # fmt: skip


def pillow(image, kind, mode=None, **options):
    """Returns a file that Pillow writes."""
    if isinstance(image, np.ndarray):
        image = Image.fromarray(np.ascontiguousarray(image))
    if mode is not None:
        image = image.convert(mode)
    if kind == "WEBP":
        options = dict(lossless=True, exact=True) | options
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def opencv(image, tail, *options):
    """Returns a file that OpenCV writes."""
    return cv2.imencode(tail, image[..., ::-1] if image.ndim == 3 else image, options)[
        1
    ].tobytes()


def tiff(pixels, bits, photometric=1, sample_format=1, channels=1, planar=1):
    """Returns a TIFF file of 40x56 pixels, uncompressed, by the format's definition."""
    tags = {256: [56], 257: [40], 258: [bits] * channels, 259: [1], 262: [photometric]}
    tags |= {277: [channels], 278: [40], 284: [planar], 339: [sample_format] * channels}
    strips = channels if planar == 2 else 1
    tags |= {273: [0] * strips, 279: [len(pixels) // strips] * strips}
    end = 8 + 2 + 12 * len(tags) + 4
    for tag in sorted(tags):  # lists of several values stand behind the tags
        end += 4 * len(tags[tag]) if len(tags[tag]) > 1 else 0
    tags[273] = [end + i * tags[279][0] for i in range(strips)]
    entries, behind = b"", b""
    for tag, values in sorted(tags.items()):
        place = 8 + 2 + 12 * len(tags) + 4 + len(behind)
        packed = struct.pack(f"<{len(values)}I", *values)
        one = len(values) == 1
        entries += struct.pack("<HHI", tag, 4, len(values))
        entries += packed if one else struct.pack("<I", place)
        behind += b"" if one else packed
    head = b"II*\0" + struct.pack("<IH", 8, len(tags))
    return head + entries + bytes(4) + behind + pixels


def pack_12_bits(values):
    a, b = values.reshape(-1, 2).astype(int).T
    return np.stack([a >> 4, (a & 15) << 4 | b >> 8, b & 255], 1).astype(np.uint8)


def paletted():
    image = Image.fromarray(INDICES)
    image.putpalette(PALETTE.tobytes())
    return image


def grey(values):
    return np.dstack([values] * 3)


def read_by_opencv(content):
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def make_kinds():
    """Yields the name of each kind, its file, and its pixels: RGB, 0 to 255."""
    lossless = ("PNG", "TIFF", "BMP", "PPM", "JPEG2000", "WEBP")
    for kind in lossless:
        yield f"{kind} RGB", pillow(RGB, kind), RGB
        yield f"{kind} grey", pillow(GREY, kind), grey(GREY)
    for kind in ("PNG", "TIFF", "BMP", "PPM", "GIF"):
        yield f"{kind} 1 bit", pillow(BITS, kind), grey(BITS * 255)
    for tail in (".png", ".tiff", ".pgm", ".jp2"):
        yield f"16 bit grey {tail}", opencv(DEEP, tail), grey(DEEP / 257)
    for tail in (".png", ".tiff", ".ppm"):
        yield f"16 bit RGB {tail}", opencv(DEEP_RGB, tail), DEEP_RGB / 257
    deep_rgba = np.dstack([DEEP, DEEP_RGB])  # reversed: BGRA
    for tail in (".png", ".tiff"):
        yield f"16 bit RGBA {tail}", opencv(deep_rgba, tail), DEEP_RGB / 257
    yield "12 bit TIFF", tiff(pack_12_bits(DEEP >> 4).tobytes(), 12), grey(DEEP / 257)
    yield "inverted 16 bit TIFF", tiff(DEEP.tobytes(), 16, 0), grey(255 - DEEP / 257)
    yield "inverted TIFF", tiff(GREY.tobytes(), 8, 0), grey(255 - GREY)
    yield "planar TIFF", tiff(RGB.transpose(2, 0, 1).tobytes(), 8, 2, 1, 3, 2), RGB
    big = pillow(Image.fromarray(DEEP.astype(">u2")), "TIFF")
    yield "big-endian 16 bit TIFF", big, grey(DEEP / 257)
    for kind in ("PNG", "TIFF", "JPEG2000", "WEBP"):
        yield f"{kind} LA", pillow(np.dstack([GREY, ALPHA]), kind), grey(GREY)
    for kind in ("PNG", "TIFF", "BMP", "JPEG2000", "WEBP"):
        yield f"{kind} RGBA", pillow(np.dstack([RGB, ALPHA]), kind), RGB
    for kind in ("PNG", "TIFF", "BMP", "GIF"):
        yield f"{kind} palette", pillow(paletted(), kind), PALETTE[INDICES]
    for kind in ("PNG", "GIF"):
        see_through = pillow(paletted(), kind, transparency=3)
        yield f"{kind} palette, one see-through", see_through, PALETTE[INDICES]
    alphas = bytes(range(0, 256, 17))
    half = pillow(paletted(), "PNG", transparency=alphas)
    yield "PNG palette with alpha", half, PALETTE[INDICES]
    yield "PNG grey, one see-through", pillow(GREY, "PNG", transparency=9), grey(GREY)
    cmyk = Image.merge("CMYK", [Image.fromarray(c.copy()) for c in CMYK])
    ink = (255 - CMYK[:3].astype(float)) * (255 - K.astype(float)) / 255
    for kind in ("TIFF", "JPEG2000"):
        yield f"{kind} CMYK", pillow(cmyk, kind), np.moveaxis(ink, 0, -1)
    ycc = Image.fromarray(RGB).convert("YCbCr")
    for kind in ("TIFF", "JPEG2000"):
        yield f"{kind} YCbCr", pillow(ycc, kind), ycc_to_rgb(np.asarray(ycc))
    neutral = np.dstack([GREY, 0 * GREY, 0 * GREY])
    yield "TIFF Lab", tiff(neutral.tobytes(), 8, 8, 1, 3), grey(lightness_to_srgb(GREY))
    for name, image, options in (
        ("grey", GREY, {}),
        ("4:2:0", RGB, dict(subsampling=2)),
        ("4:4:4", RGB, dict(subsampling=0)),
        ("progressive", RGB, dict(progressive=True)),
        ("CMYK", cmyk, {}),
    ):
        file = pillow(image, "JPEG", quality=95, **options)
        yield f"JPEG {name}", file, read_by_opencv(file)
    file = pillow(RGB, "WEBP", lossless=False)
    yield "lossy WEBP", file, read_by_opencv(file)
    for kind in ("GIF", "WEBP", "PNG", "TIFF"):
        first, second = paletted(), Image.fromarray(255 - INDICES)
        pages = dict(save_all=True, append_images=[second])
        yield f"{kind} of two images", pillow(first, kind, **pages), PALETTE[INDICES]
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    for kind in ("PNG", "TIFF", "WEBP"):
        yield f"{kind} with a profile", pillow(RGB, kind, icc_profile=profile), RGB
    file = pillow(RGB, "JPEG", icc_profile=profile)
    yield "JPEG with a profile", file, read_by_opencv(pillow(RGB, "JPEG"))
    for orientation, turn in TURNS.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        for kind in ("PNG", "TIFF", "WEBP"):
            file = pillow(turn(RGB), kind, exif=exif)
            yield f"{kind} orientation {orientation}", file, RGB
        file = pillow(turn(RGB), "JPEG", exif=exif, quality=95)
        yield f"JPEG orientation {orientation}", file, read_by_opencv(file)
    exif[0x0112] = 6
    turned = pillow(TURNS[6](DEEP), "PNG", exif=exif)
    yield "16 bit PNG orientation 6", turned, grey(DEEP / 257)


def lightness_to_srgb(lightness):
    """CIE 1976 and IEC 61966-2-1; of neutral colours the illuminant does not matter."""
    share = lightness * (100 / 255)
    y = np.where(share > 8, ((share + 16) / 116) ** 3, share / 903.3)
    return 255 * np.where(y > 0.0031308, 1.055 * y ** (1 / 2.4) - 0.055, 12.92 * y)


def ycc_to_rgb(ycc):
    """ITU-R BT.601, full range, as JFIF uses it."""
    y, cb, cr = np.moveaxis(ycc.astype(float), -1, 0)
    cb, cr = cb - 128, cr - 128
    rgb = y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb
    return np.dstack(rgb).clip(0, 255)


KINDS = {name: kind for name, *kind in make_kinds()}
# Decoders round or cut off. Of ink, OpenCV divides by 256 in place of 255; colour
# management interpolates in tables.
LIMITS = dict.fromkeys(KINDS, 1) | {"JPEG CMYK": 2, "TIFF Lab": 1.5}


@pytest.mark.parametrize("name", KINDS)
def test_pixels(tmp_path, name):
    """Of each kind, under its own name, a wrong one, none, and in upper case."""
    content, expected = KINDS[name]
    for file in ("a.png", "a.jpg", "a.tiff", "a", "A.PNG", "A.JPEG"):
        path = tmp_path / file
        path.write_bytes(content)
        results = LoadImageFromFile()({"img_path": str(path)})
        found = results["img"]
        assert found.dtype == np.uint8
        assert found.shape == expected.shape
        assert np.abs(found[..., ::-1] - expected.astype(float)).max() <= LIMITS[name]
        assert results["img_shape"] == results["ori_shape"] == read_image_size(path)


@pytest.mark.parametrize("name", KINDS)
def test_grey_pixels(tmp_path, name):
    content, expected = KINDS[name]
    path = tmp_path / "image"
    path.write_bytes(content)
    load = LoadImageFromFile(color_type="grayscale")
    found = load({"img_path": str(path)})["img"]
    luma = expected @ [0.299, 0.587, 0.114]
    assert np.abs(found - luma).max() <= LIMITS[name] + 1


@pytest.mark.parametrize("name", KINDS)
def test_minimum_size_gives_the_same_image(tmp_path, name):
    """JPEG files at a quarter, all others in full."""
    content, expected = KINDS[name]
    path = tmp_path / "image"
    path.write_bytes(content)
    found = LoadImageFromFile(min_size=10)({"img_path": str(path)})["img"]
    assert found.shape == ((10, 14, 3) if "JPEG " in name else (40, 56, 3))
    size = found.shape[1::-1]
    smaller = cv2.resize(expected.astype(float), size, interpolation=cv2.INTER_AREA)
    assert np.abs(found[..., ::-1] - smaller).mean() < 1.5


@pytest.mark.parametrize("name", [name for name in KINDS if "orientation" not in name])
def test_truncated_files(tmp_path, name):
    """Each is refused, or has all pixels: what is cut off may be of a second image."""
    content, _ = KINDS[name]
    path = tmp_path / "image"
    path.write_bytes(content)
    whole = LoadImageFromFile()({"img_path": str(path)})["img"]
    messages = []
    for tenth in range(10):
        path.write_bytes(content[: len(content) * tenth // 10])
        try:
            found = LoadImageFromFile()({"img_path": str(path)})["img"]
        except InputError as e:
            messages.append(str(e))
        else:
            assert np.array_equal(found, whole)
    assert all(str(path) in message and "\n" not in message for message in messages)
    assert len(messages) >= 4


REFUSED = {
    "float": (tiff(np.float32(GREY).tobytes(), 32, 1, 3), "mode 'F'"),
    "double": (tiff(np.float64(GREY).tobytes(), 64, 1, 3), "no known format"),
    "32 bits": (tiff(np.uint32(GREY).tobytes(), 32), "mode 'I'"),
    "signed": (tiff(np.int16(GREY).tobytes(), 16, 1, 2), "mode 'I'"),
    "pfm": (opencv(np.float32(GREY), ".pfm"), "mode 'F'"),
}
MISREAD = {
    "planes": tiff(DEEP_RGB.transpose(2, 0, 1).tobytes(), 16, 2, 1, 3, 2),
    "jp2": opencv(DEEP_RGB, ".jp2"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refuses(tmp_path, name):
    content, reason = REFUSED[name]
    path = tmp_path / "image.png"
    path.write_bytes(content)
    for options in ({}, dict(min_size=8), dict(color_type="grayscale")):
        with pytest.raises(InputError, match=reason) as e:
            LoadImageFromFile(**options)({"img_path": str(path)})
        assert str(path) in str(e.value)


@pytest.mark.parametrize("name", MISREAD)
def test_names_the_decoder_of_what_pillow_misreads(tmp_path, name):
    path = tmp_path / "image"
    path.write_bytes(MISREAD[name])
    with pytest.raises(InputError, match="imdecode_backend='cv2' reads them"):
        LoadImageFromFile()({"img_path": str(path)})
    load = LoadImageFromFile(imdecode_backend="cv2")
    found = load({"img_path": str(path)})["img"]
    assert np.abs(found[..., ::-1] - DEEP_RGB / 257).max() <= 1
