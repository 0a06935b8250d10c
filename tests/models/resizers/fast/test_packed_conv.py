from unittest.mock import Mock

import pytest
import torch
from torch import nn

from mmresizer.models.resizers.fast.packed_conv import conv2d_packed


@pytest.mark.parametrize("size", [(8, 6), (7, 6), (8, 5), (9, 1)])
@pytest.mark.parametrize(("channels", "kernel"), [(1, 3), (3, 7), (4, 5)])
def test_equals_the_convolution(size, channels, kernel, monkeypatch):
    conv = nn.Conv2d(5, channels, kernel, padding=kernel // 2).double()
    x = torch.randn(2, 5, *size, dtype=torch.float64)
    expected = conv(x)
    monkeypatch.setattr(conv, "forward", Mock(side_effect=AssertionError))
    torch.testing.assert_close(conv2d_packed(x, conv), expected)


def test_many_channels_fill_the_register():
    conv = nn.Conv2d(3, 5, 3, padding=1)
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(conv2d_packed(x, conv), conv(x))
