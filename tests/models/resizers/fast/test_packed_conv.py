import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch.utils.flop_counter import FlopCounterMode

from mmresizer.models.resizers.fast import packed_conv
from mmresizer.models.resizers.fast.packed_conv import conv2d_packed


@pytest.fixture(autouse=True)
def small_maps(monkeypatch):
    monkeypatch.setattr(packed_conv, "_MIN_VALUES", 0)


@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize("size", [(8, 6), (7, 6), (8, 5), (9, 1)])
@pytest.mark.parametrize(("channels", "kernel"), [(1, 3), (3, 7), (4, 5)])
def test_equals_the_convolution(size, channels, kernel, has_bias):
    x, weight = (torch.randn(2, 5, *s).double() for s in (size, (kernel, kernel)))
    weight = weight.repeat(channels, 1, 1, 1)[:channels]
    bias = torch.randn(channels).double() if has_bias else None
    expected = F.conv2d(x, weight, bias, padding=kernel // 2)
    with FlopCounterMode(display=False) as counter:
        torch.testing.assert_close(conv2d_packed(x, weight, bias), expected)
    pixels = 4 * -(-size[0] // 2) * -(-size[1] // 2)
    assert (
        counter.get_total_flops()
        == 2 * 2 * pixels * weight[:, :, 0, 0].numel() * (kernel + 1) ** 2
    )


def test_many_channels_fill_the_register():
    x, weight = torch.randn(2, 3, 8, 8), torch.randn(5, 3, 3, 3)
    assert torch.equal(conv2d_packed(x, weight, None), F.conv2d(x, weight, padding=1))


def test_small_maps_are_not_worth_it(monkeypatch):
    monkeypatch.undo()
    x, weight = torch.randn(2, 4, 8, 8), torch.randn(3, 4, 3, 3)
    assert torch.equal(conv2d_packed(x, weight, None), F.conv2d(x, weight, padding=1))
