import pytest
import torch
from mmpretrain.structures import DataSample

from mmresizer.models import IQAHead
from mmresizer.registry import MODELS
from mmresizer.utils import InputError


def samples(*distributions):
    return [DataSample().set_gt_score(torch.tensor(d)) for d in distributions]


@pytest.fixture
def head():
    """Predicts the distribution 1/8, 3/8, 3/8, 1/8, whatever the features."""
    head = IQAHead(in_channels=2, num_scores=4)
    with torch.no_grad():
        head.fc.weight.zero_()
        head.fc.bias.copy_(torch.tensor([1.0, 3.0, 3.0, 1.0]).log())
    return head


def test_predictions(head):
    (sample,) = head.predict((torch.randn(1, 2),))
    torch.testing.assert_close(sample.pred_score, torch.tensor([1, 3, 3, 1]) / 8)
    assert sample.pred_mean.item() == pytest.approx(2.5)


def test_loss(head):
    """CDFs 1/8, 4/8, 7/8, 1 against 0, 0, 1, 1."""
    loss = head.loss((torch.randn(2, 2),), samples(*[[0.0, 0.0, 1.0, 0.0]] * 2))["loss"]
    assert loss.item() == pytest.approx((1 + 16 + 1) / 64 / 4)


def test_regression():
    head = IQAHead(in_channels=2, regression=True)
    with torch.no_grad():
        head.fc.weight.zero_()
        head.fc.bias.fill_(0.5)
    given = torch.zeros(10)
    given[[2, 4]] = 0.5  # scores 3 and 5
    feats = (torch.randn(1, 2),)
    (sample,) = head.predict(feats, samples(given.tolist()))
    assert sample.pred_mean.item() == pytest.approx(6.0)  # 5.5, the middle, and 0.5
    assert "pred_score" not in sample
    loss = head.loss(feats, samples(given.tolist()))["loss"]
    assert loss.item() == pytest.approx(4.0)


def test_in_a_classifier():
    model = MODELS.build(
        dict(
            type="mmresizer.ResizerClassifier",
            resizer=dict(type="mmresizer.LearnedResizer", output_size=32),
            backbone=dict(type="mmpretrain.ResNet", depth=18),
            neck=dict(type="mmpretrain.GlobalAveragePooling"),
            head=dict(type="mmresizer.IQAHead", in_channels=512),
        )
    )
    distribution = torch.full((10,), 0.1).tolist()
    losses = model(torch.rand(2, 3, 48, 64), samples(*[distribution] * 2), mode="loss")
    losses["loss"].backward()
    assert model.resizer.out.weight.grad.abs().sum() > 0


def test_refuses_a_single_score():
    with pytest.raises(InputError, match="num_scores must be an int of 2 or more"):
        IQAHead(in_channels=2, num_scores=1)


def test_refuses_a_loss_of_distributions_for_regression():
    with pytest.raises(InputError, match="but got EMDLoss, which is of distributions"):
        IQAHead(in_channels=2, regression=True, loss=dict(type="mmresizer.EMDLoss"))
