import pytest
from torch import nn

from mmresizer.models import LearnedResizer
from mmresizer.utils.flops import count_macs, count_parameters


@pytest.mark.parametrize(
    ("size", "output", "n", "r"),
    [((448, 448), (224, 224), 16, 1), ((60, 80), (40, 30), 8, 2)],
)
def test_counts_the_figure(size, output, n, r):
    """By hand: 7x7 and 1x1 at the input's size, 3x3 and 7x7 at the output's."""
    full = (7 * 7 * 3 * n + n * n) * size[0] * size[1]
    small = ((2 * r + 1) * 9 * n * n + 7 * 7 * n * 3) * output[0] * output[1]
    resizer = LearnedResizer(output, mid_channels=n, num_blocks=r)
    assert count_macs(resizer, size) == full + small
    assert resizer.training


def test_counts_trainable_parameters():
    module = nn.Linear(3, 4)
    module.bias.requires_grad_(False)
    assert count_parameters(module) == 12
