"""Against distances computed by hand, by SciPy and by gradcheck."""

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance

from mmresizer.models import EMDLoss
from mmresizer.models.losses import earth_movers_distance
from mmresizer.utils import InputError


def one_hot(*bins, num=10):
    return torch.eye(num, dtype=torch.double)[list(bins)]


@pytest.mark.parametrize("r", [1, 2])
def test_by_hand(r):
    """Mass one bin apart differs in one place of the CDF, d bins apart in d places."""
    for distance in range(10):
        found = earth_movers_distance(one_hot(0), one_hot(distance), r).item()
        assert found == pytest.approx((distance / 10) ** (1 / r))
    half = (one_hot(0) + one_hot(2)) / 2  # CDF 0.5, 0.5, 1 against 0, 1, 1
    expected = (2 * 0.5**r / 10) ** (1 / r)
    assert earth_movers_distance(half, one_hot(1), r).item() == pytest.approx(expected)


def test_r_1_is_scipys_distance():
    rng = np.random.default_rng(0)
    p, q = rng.dirichlet(np.ones(10), (2, 5))
    found = earth_movers_distance(torch.tensor(p), torch.tensor(q), 1)
    scores = np.arange(10)
    for i in range(5):
        expected = wasserstein_distance(scores, scores, p[i], q[i]) / 10
        assert found[i].item() == pytest.approx(expected)


def test_grows_with_the_distance_where_cross_entropy_does_not():
    target = one_hot(2)
    emd, entropy = [], []
    for wrong in range(3, 10):
        logits = 5 * one_hot(wrong)
        emd.append(EMDLoss()(logits, target).item())
        entropy.append(torch.nn.functional.cross_entropy(logits, target).item())
    assert np.all(np.diff(emd) > 0.01)
    assert np.ptp(entropy) < 1e-12


@pytest.mark.parametrize("root", [False, True])
@pytest.mark.parametrize("r", [1, 2])
def test_gradient(r, root):
    torch.manual_seed(0)
    logits = torch.randn(3, 10, dtype=torch.double, requires_grad=True)
    target = torch.randn(3, 10, dtype=torch.double).softmax(1)
    loss = EMDLoss(r, root)
    assert torch.autograd.gradcheck(lambda x: loss(x, target), logits)


@pytest.mark.parametrize("root", [False, True])
@pytest.mark.parametrize("r", [1, 2])
def test_equal_distributions(r, root):
    logits = torch.zeros(2, 8, dtype=torch.double, requires_grad=True)
    loss = EMDLoss(r, root)(logits, torch.full((2, 8), 1 / 8, dtype=torch.double))
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_reductions():
    logits, target = torch.randn(4, 10), torch.randn(4, 10).softmax(1)
    each = EMDLoss(loss_weight=2.0)(logits, target, reduction_override="none")
    squared = earth_movers_distance(logits.softmax(1), target) ** 2
    torch.testing.assert_close(each, 2 * squared)
    loss = EMDLoss()
    torch.testing.assert_close(loss(logits, target), squared.mean())
    torch.testing.assert_close(loss(logits, target, avg_factor=8), squared.sum() / 8)
    weight = torch.tensor([1.0, 0, 0, 0])
    torch.testing.assert_close(
        loss(logits, target, weight, reduction_override="sum"), squared[0]
    )


def test_refuses_other_powers():
    with pytest.raises(InputError, match="r must be 1 or 2, got 3"):
        EMDLoss(3)
