"""Against entropies that NumPy counts, a hand-computed case, gradcheck and a codec."""

import numpy as np
import pytest
import torch

from mmresizer.models import RateLoss
from mmresizer.models.losses import bits_of_differences
from mmresizer.utils import InputError
from mmresizer_client import parse_codec


@pytest.mark.parametrize("mean", [0.05, 0.5, 2.0, 30.0])
def test_entropy_of_the_two_sided_geometric_distribution(mean):
    """Its probabilities, summed up one by one."""
    ratio = ((1 + mean**2) ** 0.5 - 1) / mean
    k = np.arange(-5000, 5001)
    p = (1 - ratio) / (1 + ratio) * ratio ** np.abs(k).astype(float)
    assert p.sum() == pytest.approx(1)
    assert (p * np.abs(k)).sum() == pytest.approx(mean)
    entropy = -(p[p > 0] * np.log2(p[p > 0])).sum()
    found = bits_of_differences(torch.tensor(mean, dtype=torch.double)).item()
    assert found == pytest.approx(entropy)


def test_no_distribution_of_this_mean_has_more():
    rng = np.random.default_rng(0)
    for scale in (0.3, 3, 20):
        for draw in (rng.normal, rng.laplace, rng.logistic):
            values = np.rint(draw(0, scale, 100_000))
            _, counts = np.unique(values, return_counts=True)
            p = counts / counts.sum()
            most = bits_of_differences(torch.tensor(np.abs(values).mean())).item()
            assert -(p * np.log2(p)).sum() <= most + 1e-3


def test_by_hand():
    """Differences 3 to the right and 0 downwards: a mean of 1.5; a constant map: 0."""
    ramp = torch.arange(3.0).mul(3).expand(1, 1, 4, 3)  # 4 x 2 threes, 3 x 3 zeros
    mean = torch.tensor(8 * 3 / 17)
    torch.testing.assert_close(RateLoss(2.0)(ramp), 2 * bits_of_differences(mean))
    flat = torch.full((1, 1, 4, 3), 7.0)
    assert 0 < RateLoss(1.0)(flat) < 0.1
    both = RateLoss(1.0)(torch.cat([ramp, flat], dim=1))
    torch.testing.assert_close(both, (RateLoss(0.5)(ramp) + RateLoss(0.5)(flat)))


def test_gradient():
    levels = 255 * torch.rand(2, 3, 4, 5, dtype=torch.double)
    assert torch.autograd.gradcheck(RateLoss(), levels.requires_grad_())
    flat = torch.zeros(1, 1, 3, 3, requires_grad=True)
    RateLoss()(flat).backward()
    assert torch.isfinite(flat.grad).all()


def test_orders_images_as_a_codec_does():
    """From smooth to noise, by the bytes of WebP without loss."""
    rng = np.random.default_rng(0)
    codec = parse_codec("webp+planes")
    losses, sizes = [], []
    slope = np.add.outer(np.arange(64), 2 * np.arange(64))[..., None]
    for amount in (1, 3, 10, 30):
        image = (slope + rng.normal(0, amount, (64, 64, 3))).clip(0, 255)
        levels = np.rint(image).astype(np.uint8)
        sizes.append(len(codec.encode(levels)) * 8 / levels.size)
        tensor = torch.from_numpy(levels).permute(2, 0, 1)[None].float()
        losses.append(RateLoss(1.0)(tensor).item())
    assert np.all(np.diff(losses) > 0)
    assert np.all(np.diff(sizes) > 0)
    assert losses == pytest.approx(sizes, abs=1)


def test_refused():
    for weight in (0, -1, float("nan"), True, "0.1", None):
        with pytest.raises(InputError, match="loss_weight must be a positive number"):
            RateLoss(weight)
    with pytest.raises(InputError, match="at least two pixels"):
        RateLoss()(torch.zeros(1, 3, 1, 1))
