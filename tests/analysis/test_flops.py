import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from mmresizer.analysis.flops import (
    Cost,
    count_activations,
    count_costs,
    count_macs,
    count_parameters,
)
from mmresizer.models import LearnedResizer
from mmresizer.utils import InputError

SIZES = pytest.mark.parametrize(
    ("size", "output", "n", "r"),
    [((448, 448), (224, 224), 16, 1), ((60, 80), (40, 30), 8, 2)],
)


@SIZES
def test_counts_the_figure(size, output, n, r):
    """By hand: 7x7 and 1x1 at the input's size, 3x3 and 7x7 at the output's."""
    full = (7 * 7 * 3 * n + n * n) * size[0] * size[1]
    small = ((2 * r + 1) * 9 * n * n + 7 * 7 * n * 3) * output[0] * output[1]
    resizer = LearnedResizer(output, mid_channels=n, num_blocks=r)
    assert count_macs(resizer, size) == full + small
    assert resizer.training


@SIZES
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_counts_the_activations_of_the_figure(size, output, n, r, device):
    """By hand: n maps of 7x7 and of 1x1, then n of each 3x3 and 3 of the last 7x7."""
    full = 2 * n * size[0] * size[1]
    small = ((2 * r + 1) * n + 3) * output[0] * output[1]
    resizer = LearnedResizer(output, mid_channels=n, num_blocks=r).to(device)
    assert count_activations(resizer, size) == full + small


@SIZES
@pytest.mark.parametrize("options", [{}, dict(stem_stride=2, with_cp=True)])
def test_needs_no_values(size, output, n, r, options):
    resizer = LearnedResizer(output, mid_channels=n, num_blocks=r, **options)
    expected = count_costs(resizer, size)
    assert count_costs(resizer.to("meta"), size) == expected


def test_counts_parts():
    """Of stride 2 and of 2 groups, by hand; parameters with the frozen ones."""
    conv = nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=2)
    conv.weight.requires_grad_(False)
    model = nn.Sequential(conv, nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(96, 10))
    first = Cost(8 * 2 * 9 + 8, 3 * 4 * 8 * 2 * 9, 3 * 4 * 8)
    last = Cost(96 * 10 + 10, 96 * 10, 10)
    total, *parts = count_costs(model, (5, 7), 4, ["", "0", "1", "3"])
    assert parts == [first, Cost(2 * 8, 0, 0), last]
    assert total - first - last == parts[1]


class Attention(nn.Module):
    """Attention over the pixels, by one of torch's two kernels that are one operation.

    A query or key or value at a pixel has a number for each channel.
    """

    def __init__(self, is_layer, heads=2, channels=4):
        super().__init__()
        self.heads = heads
        self.layer = nn.MultiheadAttention(channels, heads, batch_first=True)
        self.is_layer = is_layer

    def forward(self, x):
        x = x.flatten(2).mT.contiguous()
        if self.is_layer:
            return self.layer(x, x, x, need_weights=False)[0]
        x = x.unflatten(2, (self.heads, -1)).transpose(1, 2)
        return F.scaled_dot_product_attention(x, x, x)


@pytest.mark.parametrize("is_layer", [False, True])
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_counts_attention(is_layer, device):
    """By hand, for 5 x 6 = 30 pixels of 4 channels: q k^T and the product with v."""
    macs, activations = 2 * 30 * 30 * 4, 2 * 30 * 30 + 30 * 4
    if is_layer:  # q, k, v and output are linear maps
        macs, activations = macs + 4 * 30 * 4 * 4, activations + 4 * 30 * 4
    module = Attention(is_layer).to(device)
    assert count_macs(module, (5, 6), 4) == macs
    assert count_activations(module, (5, 6), 4) == activations
    assert torch.backends.mha.get_fastpath_enabled()


def test_names_the_size_that_is_refused():
    module = nn.Sequential(nn.Conv2d(3, 1, 9))
    sentence = r"Sequential does not take an image of 4x20 pixels \(height x width\)"
    with pytest.raises(InputError, match=sentence + r" \(RuntimeError: .*Kernel"):
        count_macs(module, (4, 20))
    assert module.training
    assert torch.backends.mha.get_fastpath_enabled()


def test_counts_trainable_parameters():
    module = nn.Linear(3, 4)
    module.bias.requires_grad_(False)
    assert count_parameters(module) == 12
