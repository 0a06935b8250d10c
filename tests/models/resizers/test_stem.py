from copy import deepcopy

import pytest
import torch
from torch import nn

from mmresizer.models import LearnedResizer
from mmresizer.models.resizers.stem import Stem


def make_stem(stride):
    return Stem(3, 16, stride, dict(type="BN"), dict(type="LeakyReLU"))


def test_layers():
    """Checkpoints and feature extraction rely on the names."""
    stem = make_stem(1)
    assert list(stem._modules) == [
        "conv1", "act1", "conv2", "act2", "norm"
    ]  # fmt: skip
    x = torch.randn(2, 3, 12, 9)
    y = nn.functional.leaky_relu(stem.conv1(x))
    expected = deepcopy(stem.norm)(nn.functional.leaky_relu(stem.conv2(y)))
    torch.testing.assert_close(stem(x), expected)


@pytest.mark.parametrize("stride", [2, 3, 4])
def test_strided_stem_is_centred(stride):
    """With mirrored kernels, the mirrored image gives the mirrored output."""
    resizer = LearnedResizer(12, stem_stride=stride).double().eval()
    resizer.init_weights()
    for m in resizer.modules():
        if isinstance(m, nn.Conv2d):
            m.weight.data = m.weight.data + m.weight.data.flip(2, 3)
    x = torch.randn(1, 3, 12 * stride, 24 * stride, dtype=torch.float64)
    torch.testing.assert_close(resizer(x.flip(2, 3)), resizer(x).flip(2, 3))
    assert resizer.stem(x).shape[2:] == (12, 24)
