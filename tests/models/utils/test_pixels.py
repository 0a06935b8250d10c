"""From pixels to what a resizer gets, and back."""

import pytest
import torch
from mmengine.model import ImgDataPreprocessor
from mmpretrain.models import ClsDataPreprocessor
from torch import nn

from mmresizer.models.utils import normalize_images, restore_pixels

MEAN, STD = [120.0, 110.0, 100.0], [60.0, 55.0, 50.0]


def model(preprocessor):
    module = nn.Module()
    module.data_preprocessor = preprocessor
    return module


@pytest.mark.parametrize(
    "preprocessor",
    [
        ClsDataPreprocessor(MEAN, STD, pad_size_divisor=8, to_rgb=True),
        ImgDataPreprocessor(MEAN, STD, pad_size_divisor=8, bgr_to_rgb=True),
    ],
)
def test_there_and_back(preprocessor):
    """By hand: the mean of red comes first, and the padding goes."""
    images = torch.randint(0, 256, (2, 3, 5, 11), dtype=torch.uint8)
    normalized = normalize_images(model(preprocessor), images)
    blue, green, red = images.float().unbind(1)
    expected = torch.stack([(red - 120) / 60, (green - 110) / 55, (blue - 100) / 50], 1)
    torch.testing.assert_close(normalized, expected)
    restored = restore_pixels(model(preprocessor), normalized)
    torch.testing.assert_close(restored, images.float(), atol=1e-4, rtol=0)


def test_without_a_change_of_colours():
    preprocessor = ClsDataPreprocessor(MEAN, STD)
    images = torch.full((1, 3, 2, 2), 220.0)
    normalized = normalize_images(model(preprocessor), images)
    expected = torch.tensor([100 / 60, 110 / 55, 120 / 50])
    torch.testing.assert_close(normalized[0, :, 0, 0], expected)
    restored = restore_pixels(model(preprocessor), normalized)
    torch.testing.assert_close(restored, images)


@pytest.mark.parametrize("channels", [1, 4])
def test_other_numbers_of_channels_keep_their_order(channels):
    preprocessor = ClsDataPreprocessor([7.0] * channels, [2.0] * channels, to_rgb=True)
    images = torch.rand(1, channels, 2, 2)
    normalized = normalize_images(model(preprocessor), images)
    torch.testing.assert_close(normalized, (images - 7) / 2)
    torch.testing.assert_close(restore_pixels(model(preprocessor), normalized), images)


def test_without_a_data_preprocessor():
    images = torch.randint(0, 256, (1, 3, 4, 4), dtype=torch.uint8)
    assert torch.equal(normalize_images(nn.Identity(), images), images.float())
    restored = restore_pixels(nn.Identity(), images.float())
    assert torch.equal(restored, images.float())
