"""Fusers of batch norms, mmcv's, torch's and timm's, leave the output as it is."""

from copy import deepcopy
from itertools import pairwise

import pytest
import torch
from interpolations import INTERPOLATIONS
from mmcv.cnn import fuse_conv_bn
from torch import nn
from torch.ao.quantization import fuse_modules
from torch.fx.experimental.optimization import fuse

from mmresizer.models import (
    InceptionV2,
    InterpolationResizer,
    LearnedResizer,
    MULLERResizer,
)

KINDS = [
    dict(interpolation=name, antialias=antialias) for name, antialias in INTERPOLATIONS
]
RELU = dict(type="ReLU")
WS = (1.9, 0.0, -11.0, 0.1)  # of MULLERResizer, for two layers


def randomize_norms(model):
    torch.manual_seed(1)
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d):
            nn.init.uniform_(m.weight, 0.5, 2)
            nn.init.uniform_(m.bias, -1, 1)
            nn.init.uniform_(m.running_mean, -1, 1)
            nn.init.uniform_(m.running_var, 0.2, 3)


def fuse_by_name(model):
    """Names each convolution with what follows it at once."""
    groups = []
    for name, m in model.named_modules():
        for (first, conv), (second, norm) in pairwise(m._modules.items()):
            if isinstance(conv, nn.Conv2d) and isinstance(
                norm, nn.BatchNorm2d | nn.ReLU
            ):
                groups.append([f"{name}.{first}", f"{name}.{second}"])
    return fuse_modules(model, groups) if groups else deepcopy(model)


def reparameterize(model):
    timm = pytest.importorskip("timm.utils")
    # It replaces the parts of a model, never the model itself.
    carrier = nn.Sequential(deepcopy(model))
    return timm.reparameterize_model(carrier)[0]


def fuse_by_mmcv(model):
    return fuse_conv_bn(deepcopy(model))


def count_norms(model):
    return sum(isinstance(m, nn.BatchNorm2d) for m in model.modules())


@pytest.mark.parametrize("fuser", [fuse_by_mmcv, fuse, fuse_by_name, reparameterize])
@pytest.mark.parametrize(
    "build",
    [
        *(lambda kw=kw: LearnedResizer(24, **kw) for kw in KINDS),
        *(lambda kw=kw: MULLERResizer(24, weights=WS, **kw) for kw in KINDS),
        *(lambda kw=kw: InterpolationResizer(24, **kw) for kw in KINDS),
        lambda: LearnedResizer(scale_factor=0.5, stem_stride=2, num_blocks=2),
        lambda: LearnedResizer(24, norm_cfg=None),
        lambda: LearnedResizer(24, norm_cfg=dict(type="GN", num_groups=4)),
        lambda: LearnedResizer(24, act_cfg=RELU, residual_bound=1.0),
        lambda: LearnedResizer(24, with_cp=True, num_blocks=0),
        lambda: MULLERResizer(24, weights=WS, mean=[120.0] * 3, std=[60.0] * 3),
        InceptionV2,
    ],
)  # fmt: skip
def test_fusers(build, fuser):
    torch.manual_seed(0)
    model = build().eval()
    randomize_norms(model)
    before = count_norms(model)
    fused = fuser(model)
    if fuser is not reparameterize and before:
        # What is left is the norm of the stem, which follows an activation.
        assert count_norms(fused) == (0 if isinstance(model, InceptionV2) else 1)
    # The larger images take the fast path, which reads the layers.
    for x in (torch.randn(2, 3, 40, 56), torch.randn(2, 3, 200, 210)):
        with torch.no_grad():
            expected, actual = model(x), fused(x)
        if isinstance(model, InceptionV2):
            (expected,), (actual,) = expected, actual
        assert (actual - expected).abs().max() < 1e-4 * expected.abs().max()


def test_fused_layers_train():
    torch.manual_seed(0)
    model = LearnedResizer(24).eval()
    randomize_norms(model)
    fused = fuse_by_mmcv(model)
    x = torch.randn(2, 3, 200, 210)
    fused(x).sum().backward()
    model.forward_plain(x).sum().backward()
    torch.testing.assert_close(
        fused.out.weight.grad, model.out.weight.grad, rtol=1e-3, atol=1e-2
    )


def test_timm_keeps_a_learned_resizer():
    timm = pytest.importorskip("timm.utils")
    model = nn.Sequential(LearnedResizer(8))
    kept = timm.reparameterize_model(model)[0]
    assert type(kept) is LearnedResizer
    # Its own weights, not those of the copy's origin.
    nn.init.zeros_(kept.out.weight)
    assert model[0].out.weight.abs().max() > 0
