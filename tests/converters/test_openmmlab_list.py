import pytest
import torch
from torch import nn

from mmresizer.converters.openmmlab_list import convert_openmmlab_list
from mmresizer.registry import MODELS
from mmresizer.utils import InputError


class Block(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.conv1 = nn.Conv2d(n, n, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(n)
        self.conv2 = nn.Conv2d(n, n, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(n)

    def forward(self, x):
        y = nn.functional.leaky_relu(self.bn1(self.conv1(x)), 0.2)
        return x + self.bn2(self.conv2(y))


class LearnableResizer(nn.Module):
    """The paper's figure with biases everywhere, under that implementation's names."""

    def __init__(self, n=16, r=2):
        super().__init__()
        self.conv1 = nn.Conv2d(3, n, 7, padding=3)
        self.conv2 = nn.Conv2d(n, n, 1)
        self.bn1 = nn.BatchNorm2d(n)
        self.resblock = nn.Sequential(*(Block(n) for _ in range(r)))
        self.conv3 = nn.Conv2d(n, n, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(n)
        self.conv4 = nn.Conv2d(n, 3, 7, padding=3)

    def forward(self, x):
        def shrink(x):
            return nn.functional.interpolate(x, size=(32, 32), mode="bilinear")

        def act(x):
            return nn.functional.leaky_relu(x, 0.2)

        z = shrink(self.bn1(act(self.conv2(act(self.conv1(x))))))
        return shrink(x) + self.conv4(z + self.bn2(self.conv3(self.resblock(z))))


PARTS = dict(
    neck=dict(type="mmpretrain.GlobalAveragePooling"),
    head=dict(type="mmpretrain.LinearClsHead", num_classes=5, in_channels=512),
)
RESNET = dict(type="mmpretrain.ResNet", depth=18)


def test_logits_are_the_same():
    torch.manual_seed(0)
    inner = MODELS.build(RESNET)
    theirs = MODELS.build(
        dict(type="mmpretrain.ImageClassifier", backbone=RESNET, **PARTS)
    )
    theirs.backbone = nn.Sequential(LearnableResizer(), inner)
    for name, parameter in theirs.backbone[0].named_parameters():
        if name.endswith("bias"):
            nn.init.uniform_(parameter, -1, 1)
    images = torch.randn(4, 3, 80, 64)
    for _ in range(2):
        theirs(images)
    theirs.eval()
    ours = MODELS.build(
        dict(
            type="mmresizer.ResizerClassifier",
            resizer=dict(type="mmresizer.LearnedResizer", output_size=32, num_blocks=2),
            backbone=RESNET,
            **PARTS,
        )
    ).eval()
    ours.load_state_dict(convert_openmmlab_list(theirs.state_dict()))
    with torch.no_grad():
        expected = theirs(images)
        assert expected.std() > 1e-3
        torch.testing.assert_close(ours(images), expected, rtol=0, atol=1e-5)


def test_refuses_an_incomplete_one():
    names = ("backbone.0.conv3.bias", "backbone.1.conv1.weight")
    with pytest.raises(InputError, match=r"no 'resizer\.fuse\.norm\.running_mean'"):
        convert_openmmlab_list({name: torch.zeros(1) for name in names})


@pytest.mark.parametrize(
    "names", [["backbone.conv1.weight"], ["backbone.1.conv1.weight", "head.fc.bias"]]
)
def test_refuses_another_model(names):
    with pytest.raises(InputError, match="not those of a list of a resizer"):
        convert_openmmlab_list({name: torch.zeros(1) for name in names})
