"""Outputs that fit into bytes."""

import numpy as np
import pytest
import torch

from mmresizer.models import InterpolationResizer, LearnedResizer, MULLERResizer
from mmresizer.utils import InputError

LOW, HIGH = [-3.0, -2.0, -1.0], [2.0, 3.0, 5.5]
CLASSES = [InterpolationResizer, LearnedResizer, MULLERResizer]


def round_with_numpy(x, low, high):
    low, high = (np.reshape(v, (-1, 1, 1)).astype(np.float64) for v in (low, high))
    levels = np.clip(np.rint((x.numpy() - low) / (high - low) * 255), 0, 255)
    return levels, low + levels / 255 * (high - low)


@pytest.mark.parametrize("output_range", [(LOW, HIGH), (-1.5, 2.5)])
@pytest.mark.parametrize("resizer", CLASSES)
def test_rounds_and_maps_to_bytes(resizer, output_range):
    torch.manual_seed(0)
    plain = resizer(12).eval()
    rounding = resizer(12, output_range=output_range).eval()
    rounding.load_state_dict(plain.state_dict())  # the same names, none added
    with torch.no_grad():
        x = 3 * torch.randn(2, 3, 40, 30)
        levels, values = round_with_numpy(plain(x), *output_range)
        assert levels.min() == 0
        assert levels.max() == 255  # some values were cut
        y = rounding(x)
        np.testing.assert_allclose(y.numpy(), values, atol=1e-5)
        sent = rounding.eight_bit.encode(plain(x))
    assert sent.dtype == torch.uint8
    np.testing.assert_array_equal(sent.numpy(), levels)
    # To the last digit: a backbone sees the same from bytes as from the resizer.
    assert torch.equal(rounding.eight_bit.decode(sent), y)
    assert torch.equal(rounding.eight_bit.encode(y), sent)
    assert torch.equal(rounding(x), y)  # with gradients, too


def test_layer_by_layer():
    torch.manual_seed(0)
    resizer = LearnedResizer(12, output_range=(-4, 4)).eval()
    x = torch.randn(1, 3, 24, 24)
    with torch.no_grad():
        difference = (resizer(x) - resizer.forward_plain(x)).abs()
    step = 8 / 255
    levels = resizer.forward_plain(x) / step
    assert torch.allclose(levels, (levels - 0.5).round() + 0.5, atol=1e-3)
    assert difference.max() < 1.001 * step  # where the two lie at a border
    assert difference.mean() < 0.01 * step


def test_gradient_passes_the_rounding():
    rounding = InterpolationResizer(4, output_range=(-1, 1))
    x = torch.tensor([-2.0, -0.999, 0.3, 1.001]).repeat(4, 1)[None, None]
    x.requires_grad_()
    weights = torch.arange(16.0).view(1, 1, 4, 4)
    (rounding(x) * weights).sum().backward()
    expected = weights * torch.tensor([0.0, 1, 1, 0])  # zero where values are cut
    assert torch.allclose(x.grad, expected, atol=1e-5)


def test_training_gets_used_to_rounding():
    """Plain interpolation of this image rounds to 0: no loss can tell without it."""
    torch.manual_seed(0)
    resizer = LearnedResizer(4, mid_channels=4, zero_init=True, output_range=(0, 255))
    x = torch.full((8, 3, 8, 8), 0.3)
    assert torch.equal(resizer(x), torch.zeros(8, 3, 4, 4))
    optimizer = torch.optim.Adam(resizer.parameters(), 0.02)
    for _ in range(60):
        loss = (resizer(x) - 1).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert resizer(x).mean() > 0.9


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_other_types(dtype):
    rounding = InterpolationResizer(6, output_range=(LOW, HIGH))
    x = torch.randn(2, 3, 6, 6, dtype=dtype)
    _, values = round_with_numpy(x.double(), LOW, HIGH)
    y = rounding(x)
    assert y.dtype == dtype
    tolerance = {torch.float64: 1e-6, torch.float16: 2e-3, torch.bfloat16: 2e-2}[dtype]
    np.testing.assert_allclose(y.double().numpy(), values, atol=tolerance)


@pytest.mark.parametrize(
    "output_range",
    [
        3,
        (1, 1),
        (2, -2),
        (0, float("inf")),
        ([0, 0], [1, 1, 1]),
        ([], []),
        (0, True),
        "01",
        (0, 1, 2),
        ([0, 2, 0], [1, 1, 1]),
    ],
)
@pytest.mark.parametrize("resizer", CLASSES)
def test_refuses(resizer, output_range):
    sentence = r"output_range must be a pair \(low, high\) of numbers, or of lists"
    with pytest.raises(InputError, match=sentence):
        resizer(4, output_range=output_range)


@pytest.mark.parametrize("resizer", [InterpolationResizer, MULLERResizer])
def test_refuses_other_channels(resizer):
    with pytest.raises(InputError, match="has 3 channels, but the resizer gives 1"):
        resizer(4, output_range=(LOW, HIGH))(torch.rand(1, 1, 8, 8))


@pytest.mark.parametrize("convert", ["half", "bfloat16", "double"])
@pytest.mark.parametrize("output_range", [(LOW, HIGH), (-4, 4)])
def test_levels_stay_where_they_are_in_other_types(convert, output_range):
    exact = InterpolationResizer(6, output_range=output_range)
    moved = getattr(InterpolationResizer(6, output_range=output_range), convert)()
    levels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).repeat(1, 3, 1, 1)
    values = exact.eight_bit.decode(levels)
    assert torch.equal(moved.eight_bit.decode(levels), values)


@pytest.mark.parametrize("resizer", CLASSES[:2])
def test_symbolic_traces(resizer):
    module = resizer(6, output_range=np.array([LOW, HIGH])).eval()
    x = torch.randn(1, 3, 12, 12)
    traced = torch.fx.symbolic_trace(module)
    with torch.no_grad():
        assert torch.allclose(traced(x), module(x), atol=0.02)
    assert f"output_range=({LOW}, {HIGH})" in repr(module)
