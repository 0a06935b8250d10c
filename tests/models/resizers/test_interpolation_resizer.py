import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from PIL import Image

from mmresizer.models import InterpolationResizer, LearnedResizer
from mmresizer.utils import InputError


@pytest.mark.parametrize(
    ("interpolation", "antialias", "mode"),
    [
        ("nearest", False, "nearest-exact"),
        ("bilinear", False, "bilinear"),
        ("bicubic", False, "bicubic"),
        ("area", False, "area"),
        ("bilinear", True, "bilinear"),
        ("bicubic", True, "bicubic"),
    ],
)
@pytest.mark.parametrize("size", [(31, 17), (97, 131), (64, 64)])
def test_equals_torch(interpolation, antialias, mode, size):
    x = torch.rand(2, 3, 64, 80)
    resizer = InterpolationResizer(size, None, interpolation, antialias)
    expected = F.interpolate(x, size, mode=mode, antialias=antialias)
    assert resizer(x).shape == (2, 3, *size)
    torch.testing.assert_close(resizer(x), expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("interpolation", "antialias", "pil"),
    [
        ("nearest", False, Image.Resampling.NEAREST),
        ("bilinear", True, Image.Resampling.BILINEAR),
    ],
)
def test_equals_pil(interpolation, antialias, pil):
    """PIL works with half-pixel centres, and its filters are antialiased."""
    image = np.random.default_rng(0).random((60, 84), dtype=np.float32)
    expected = np.asarray(Image.fromarray(image).resize((21, 20), pil))
    resizer = InterpolationResizer(
        (20, 21), interpolation=interpolation, antialias=antialias
    )
    actual = resizer(torch.from_numpy(image)[None, None])[0, 0].numpy()
    np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_half_pixel_centres():
    """Halving averages pairs of pixels; doubling by hand: weights 3/4 and 1/4."""
    x = torch.tensor([0.0, 4.0, 8.0, 20.0]).view(1, 1, 1, 4)
    half = InterpolationResizer(output_size=(1, 2))(x)
    assert half.flatten().tolist() == [2.0, 14.0]
    double = InterpolationResizer(scale_factor=(1, 2))(x)
    assert double.flatten().tolist() == [0.0, 1.0, 3.0, 5.0, 7.0, 11.0, 17.0, 20.0]


@pytest.mark.parametrize(
    ("scale_factor", "output"),
    [(0.5, (48, 65)), (2, (194, 262)), ((0.25, 1.5), (24, 196)), (1, (97, 131))],
)
def test_scale_factor_rounds_down(scale_factor, output):
    x = torch.rand(1, 3, 97, 131)
    resizer = InterpolationResizer(scale_factor=scale_factor)
    assert resizer(x).shape[-2:] == output
    assert resizer.get_output_size((97, 131)) == output
    # The corners of the image stay its corners, whatever was rounded off.
    torch.testing.assert_close(
        resizer(x), F.interpolate(x, output, mode="bilinear"), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize(
    "output_size", [0, -1, 24.0, "24", (24,), (24, 0), True, (1, 2, 3)]
)
def test_refuses_output_size(output_size):
    with pytest.raises(InputError, match="output_size must be a positive int") as e:
        InterpolationResizer(output_size=output_size)
    assert repr(output_size) in str(e.value)


@pytest.mark.parametrize("scale_factor", [0, -0.5, "2", (0.5,), float("inf"), True])
def test_refuses_scale_factor(scale_factor):
    with pytest.raises(InputError, match="scale_factor must be a positive number"):
        InterpolationResizer(scale_factor=scale_factor)


@pytest.mark.parametrize("kwargs", [{}, {"output_size": 24, "scale_factor": 0.5}])
def test_refuses_both_or_neither_size(kwargs):
    with pytest.raises(InputError, match="exactly one of output_size and scale_factor"):
        InterpolationResizer(**kwargs)


def test_refuses_interpolation():
    with pytest.raises(
        InputError, match=r"nearest, bilinear, bicubic, area.*'lanczos'"
    ):
        InterpolationResizer(24, interpolation="lanczos")


@pytest.mark.parametrize("interpolation", ["nearest", "area"])
def test_refuses_antialias(interpolation):
    with pytest.raises(
        InputError, match=f"bilinear or bicubic, but got '{interpolation}'"
    ):
        InterpolationResizer(24, interpolation=interpolation, antialias=True)


def test_refuses_images():
    with pytest.raises(InputError, match=r"3x40 pixels.*at least 1x1.*\(0.25, 0.25\)"):
        InterpolationResizer(scale_factor=0.25)(torch.rand(1, 3, 3, 40))
    with pytest.raises(InputError, match=r"\(N, C, H, W\).*\(3, 40, 40\)"):
        InterpolationResizer(24)(torch.rand(3, 40, 40))
    with pytest.raises(InputError, match=r"floating point, but got .*torch\.uint8"):
        InterpolationResizer(24)(torch.zeros(1, 3, 40, 40, dtype=torch.uint8))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_antialiasing_in_16_bits(dtype, interpolation):
    """Torch has none on a CPU: what comes out is that of float32, rounded."""
    resizer = InterpolationResizer(9, interpolation=interpolation, antialias=True)
    x = torch.rand(2, 3, 40, 31).to(dtype)
    expected = resizer(x.float()).to(dtype)
    assert resizer(x).dtype == dtype
    torch.testing.assert_close(resizer(x), expected, rtol=0, atol=0)
    with torch.autocast("cpu", torch.bfloat16):
        learned = LearnedResizer(9, interpolation=interpolation, antialias=True)
        assert learned(torch.rand(1, 3, 40, 31)).isfinite().all()
