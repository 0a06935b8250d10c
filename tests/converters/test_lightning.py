import sys
from types import ModuleType

import pytest
import torch
import torchvision
from torch import nn

from mmresizer.converters.common import load_weights
from mmresizer.converters.lightning import convert_lightning, load_lightning
from mmresizer.registry import MODELS
from mmresizer.utils import InputError


class Block(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(n, n, 3, padding=1, bias=False),
            nn.BatchNorm2d(n),
            nn.LeakyReLU(0.2),
            nn.Conv2d(n, n, 3, padding=1, bias=False),
            nn.BatchNorm2d(n),
        )


class Resizer(nn.Module):
    """The paper's figure, under that implementation's names."""

    def __init__(self, bias, n=16, r=2):
        super().__init__()
        self.module1 = nn.Sequential(
            nn.Conv2d(3, n, 7, padding=3),
            nn.LeakyReLU(0.2),
            nn.Conv2d(n, n, 1, bias=bias),
            nn.LeakyReLU(0.2),
            nn.BatchNorm2d(n),
        )
        self.resblocks = nn.Sequential(*(Block(n) for _ in range(r)))
        self.module3 = nn.Sequential(
            nn.Conv2d(n, n, 3, padding=1, bias=False), nn.BatchNorm2d(n)
        )
        self.module4 = nn.Conv2d(n, 3, 7, padding=3)

    def forward(self, x):
        def halve(x):
            return nn.functional.interpolate(x, scale_factor=0.5, mode="bilinear")

        y = z = halve(self.module1(x))
        for block in self.resblocks:
            y = y + block.block(y)
        return halve(x) + self.module4(z + self.module3(y))


class Model(nn.Module):
    def __init__(self, bias):
        super().__init__()
        self.resizer_model = Resizer(bias)
        self.base_model = torchvision.models.resnet50(num_classes=10)

    def forward(self, x):
        return self.base_model(self.resizer_model(x))


@pytest.mark.parametrize("bias", [True, False])
def test_logits_are_the_same(bias, tmp_path):
    torch.manual_seed(0)
    theirs = Model(bias)
    images = torch.randn(4, 3, 96, 64)
    theirs(images)  # norms with running averages of their own
    theirs.eval()
    path = tmp_path / "last.ckpt"
    torch.save({"epoch": 3, "state_dict": theirs.state_dict()}, path)

    ours = MODELS.build(
        dict(
            type="mmresizer.ResizerClassifier",
            resizer=dict(
                type="mmresizer.LearnedResizer", scale_factor=0.5, num_blocks=2
            ),
            backbone=dict(type="mmpretrain.ResNet", depth=50),
            neck=dict(type="mmpretrain.GlobalAveragePooling"),
            head=dict(
                type="mmpretrain.LinearClsHead", num_classes=10, in_channels=2048
            ),
        )
    ).eval()
    ours.load_state_dict(convert_lightning(load_lightning(str(path))))
    with torch.no_grad():
        expected = theirs(images)
        assert expected.std() > 1e-3
        torch.testing.assert_close(ours(images), expected, rtol=0, atol=1e-5)


def test_checkpoints_with_states_of_callbacks(tmp_path, monkeypatch):
    """Lightning before 1.3 keyed them by class, here one of that name."""
    module = ModuleType("pytorch_lightning.callbacks.model_checkpoint")
    callback = type("ModelCheckpoint", (), {"__module__": module.__name__})
    module.ModelCheckpoint = callback
    for name in ("pytorch_lightning", "pytorch_lightning.callbacks", module.__name__):
        monkeypatch.setitem(sys.modules, name, module)
    path = tmp_path / "last.ckpt"
    weights = {"base_model.conv1.weight": torch.zeros(1)}
    torch.save({"callbacks": {callback: {"best": 1}}, "state_dict": weights}, path)
    monkeypatch.delitem(sys.modules, module.__name__)
    assert set(load_lightning(str(path))) == set(weights)
    with pytest.raises(InputError, match="could run pytorch_lightning"):
        load_weights(str(path))


@pytest.mark.parametrize("names", [["conv1.weight"], ["resizer_model.module4.bias"]])
def test_refuses_another_model(names):
    with pytest.raises(InputError, match="not those of the Imagenette implementation"):
        convert_lightning({name: torch.zeros(1) for name in names})
