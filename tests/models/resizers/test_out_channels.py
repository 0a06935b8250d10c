"""More channels than an image has."""

import numpy as np
import pytest
import torch

from mmresizer.apis import resize_images
from mmresizer.models import LearnedResizer
from mmresizer.registry import MODELS
from mmresizer.utils import InputError
from mmresizer.visualization import draw_resizer

SIZES = [
    dict(),
    dict(antialias=True, stem_stride=2),
    dict(norm_cfg=None),
    dict(residual_bound=0.5),
]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("kwargs", SIZES)
def test_first_channels_are_those_of_a_plain_resizer(kwargs, training):
    """With the same kernels; the others are the rows that the last kernel has more."""
    torch.manual_seed(0)
    wide = LearnedResizer(8, mid_channels=4, out_channels=7, **kwargs)
    plain = LearnedResizer(8, mid_channels=4, **kwargs)
    weights = wide.state_dict()
    plain.load_state_dict(
        {k: v[:3] if k.startswith("out.") else v for k, v in weights.items()}
    )
    rest = LearnedResizer(8, mid_channels=4, out_channels=4, **kwargs)
    rest.load_state_dict(
        {k: v[3:] if k.startswith("out.") else v for k, v in weights.items()}
    )
    x = torch.randn(2, 3, 24, 40)
    wide, plain, rest = (module.train(training) for module in (wide, plain, rest))
    y = wide(x)
    assert y.shape == (2, 7, 8, 8)
    torch.testing.assert_close(y[:, :3], plain(x))
    # The first three of the four have an image below.
    image = torch.nn.functional.pad(rest.interpolate(x), (0, 0, 0, 0, 0, 1))
    torch.testing.assert_close(y[:, 3:], rest(x) - image, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(wide.forward_plain(x), y, atol=1e-5, rtol=1e-4)


def test_starts_as_interpolation_and_zeros():
    resizer = LearnedResizer(8, out_channels=5, zero_init=True)
    x = torch.randn(2, 3, 20, 20)
    y = resizer(x)
    torch.testing.assert_close(y[:, :3], resizer.interpolate(x))
    assert not y[:, 3:].any()
    # And the new channels learn.
    y[:, 3:].sum().backward()
    assert resizer.out.weight.grad[3:].abs().max() > 0


def test_refuses():
    with pytest.raises(InputError, match="out_channels must be"):
        LearnedResizer(8, out_channels=2)
    sentence = "output_range has 3 channels, but the resizer gives 5"
    resizer = LearnedResizer(8, out_channels=5, output_range=([0] * 3, [1] * 3))
    with pytest.raises(InputError, match=sentence):
        resizer(torch.rand(1, 3, 16, 16))


@pytest.fixture
def model():
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type="mmresizer.ResizerClassifier",
            resizer=dict(
                type="mmresizer.LearnedResizer", output_size=8, out_channels=5
            ),
            backbone=dict(
                type="ResNet_CIFAR", depth=18, base_channels=4, in_channels=5
            ),
            neck=dict(type="GlobalAveragePooling"),
            head=dict(type="LinearClsHead", num_classes=3, in_channels=32),
            data_preprocessor=dict(mean=[0, 0, 0], std=[255] * 3, to_rgb=True),
        )
    ).eval()


def test_pictures_show_the_image(model):
    picture = draw_resizer(model, [torch.full((3, 24, 24), 128, dtype=torch.uint8)])
    assert picture.ndim == 3
    with pytest.raises(InputError, match="gives 5 channels, which are no image of 3"):
        resize_images(model, np.zeros((24, 24, 3), np.uint8))
