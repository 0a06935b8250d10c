"""What is refused before a training; tests/tools/test_get_flops.py has the costs."""

import pytest
import torch
from mmengine.config import Config
from mmpretrain.registry import MODELS
from torch import nn

from mmresizer.analysis.costs import build_model_to_count, check_input_size, model_costs
from mmresizer.models import InterpolationResizer
from mmresizer.utils import InputError


class Backbone(nn.Module):
    """A convolution with a fault."""

    def __init__(self, fault):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.fault = fault

    def forward(self, x):
        if self.fault == "takes 32 and more" and x.shape[-1] < 32:
            raise AssertionError("no")
        if self.fault == "needs CUDA":
            raise NotImplementedError("the window size or shape is for CUDA")
        if self.fault == "looks at values of 16" and x.shape[-1] == 16:
            x = x / max(1.0, x.abs().max().item())
        return (self.conv(x),)


class ForCUDAAlone(InterpolationResizer):
    def forward(self, x):
        raise NotImplementedError("no kernel of this size")


@pytest.fixture
def config(monkeypatch):
    """Makes a config of a resizer and the backbone, for images of 64x64 pixels."""
    monkeypatch.setitem(MODELS.module_dict, "OfTheTest", Backbone)
    monkeypatch.setitem(MODELS.module_dict, "ForCUDAAlone", ForCUDAAlone)

    def config(fault, kind="mmresizer.InterpolationResizer", **resizer):
        model = dict(
            type="mmresizer.ResizerClassifier",
            resizer=dict(type=kind, **resizer),
            backbone=dict(type="mmpretrain.OfTheTest", fault=fault),
            neck=dict(type="mmpretrain.GlobalAveragePooling"),
            head=dict(type="mmpretrain.LinearClsHead", num_classes=2, in_channels=8),
        )
        dataset = dict(pipeline=[dict(type="CenterCrop", crop_size=64)])
        return Config(
            dict(
                model=model,
                default_scope="mmpretrain",
                test_dataloader=dict(dataset=dataset),
            )
        )

    return config


@pytest.mark.parametrize("resizer", [dict(output_size=16), dict(scale_factor=0.25)])
def test_refuses_what_works_at_another_size(config, resizer):
    """Whatever the words of the error, and with a fixed output too."""
    cfg = config("takes 32 and more", **resizer)
    with pytest.raises(InputError, match=r"image of 64x64 .*AssertionError: no"):
        check_input_size(cfg)
    check_input_size(config("takes 32 and more", output_size=32))


def test_refuses_what_the_resizer_refuses(config):
    with pytest.raises(InputError, match=r"image of 64x64 .*is too small"):
        check_input_size(config(None, scale_factor=0.01))


@pytest.mark.parametrize(("side", "said"), [(64, 1), (32, 0)])
def test_says_that_a_resizer_has_nothing_to_choose_from(config, log, side, said):
    check_input_size(config(None, "mmresizer.LearnedResizer", output_size=side))
    check_input_size(config(None, output_size=side))  # interpolation to its own size
    messages = [m for m in log if "the images are 64x64 pixels" in m]
    assert len(messages) == said


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("needs CUDA", "mmresizer.InterpolationResizer"),
        (None, "mmpretrain.ForCUDAAlone"),
    ],
)
def test_passes_over_what_fails_at_every_size(config, fault, kind):
    """It may run elsewhere, though its error speaks of sizes."""
    cfg = config(fault, kind, output_size=16)
    check_input_size(cfg)
    with pytest.raises(InputError, match=r"image of 64x64 .*NotImplementedError"):
        model_costs(cfg, (64, 64))


def test_counts_on_the_cpu_what_looks_at_values_at_this_size(config):
    cfg = config("looks at values of 16", output_size=16)
    check_input_size(cfg)
    assert build_model_to_count(cfg).backbone.conv.weight.device.type == "cpu"
    by_factor = config("looks at values of 16", scale_factor=0.25)
    for size, device in ((32, "meta"), (64, "cpu")):
        model = build_model_to_count(by_factor, (size, size))
        assert model.backbone.conv.weight.device == torch.device(device)


@pytest.mark.parametrize("is_list", [False, True])
def test_counts_what_inference_computes(config, is_list):
    """By hand: at a factor of 8, the stem at 4 of 64 positions."""
    cfg = config("none", "mmresizer.LearnedResizer", output_size=8)
    if is_list:
        resizer = cfg.model.pop("resizer")
        cfg.model.type = "mmpretrain.ImageClassifier"
        cfg.model.backbone = [resizer, cfg.model.backbone]
    costs = model_costs(cfg, (64, 64))
    stem, rest = 16 * 3 * 49 + 16 * 16, 3 * 9 * 16 * 16 + 3 * 16 * 49
    assert costs.resizer.macs == 64 * (4 * stem + rest)
    assert costs.resizer.paper_macs == 64 * (64 * stem + rest)
    assert costs.backbone.macs == costs.backbone.paper_macs == 64 * 27 * 8
    assert costs.total.macs == costs.resizer.macs + costs.backbone.macs + 8 * 2
    assert costs.total.paper_macs - costs.total.macs == 64 * 60 * stem
