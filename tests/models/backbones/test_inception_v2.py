import re
from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from mmengine.config import ConfigDict
from mmengine.utils.dl_utils.parrots_wrapper import _BatchNorm
from mmpretrain.structures import DataSample
from torch import nn

from mmresizer.models import InceptionV2
from mmresizer.registry import MODELS
from mmresizer.utils import InputError

# The shapes that TF-slim's own test expects of images of 224 x 224.
SHAPES = {
    "stages.0.1": (64, 112, 112),  # Conv2d_1a_7x7
    "stages.0.2": (64, 56, 56),  # MaxPool_2a_3x3
    "stages.0.3": (64, 56, 56),  # Conv2d_2b_1x1
    "stages.0.4": (192, 56, 56),  # Conv2d_2c_3x3
    "stages.1.pool": (192, 28, 28),  # MaxPool_3a_3x3
    "stages.1.mixed_3b": (256, 28, 28),
    "stages.1.mixed_3c": (320, 28, 28),
    "stages.2.mixed_4a": (576, 14, 14),
    "stages.2.mixed_4b": (576, 14, 14),
    "stages.2.mixed_4c": (576, 14, 14),
    "stages.2.mixed_4d": (576, 14, 14),
    "stages.2.mixed_4e": (576, 14, 14),
    "stages.3.mixed_5a": (1024, 7, 7),
    "stages.3.mixed_5b": (1024, 7, 7),
    "stages.3.mixed_5c": (1024, 7, 7),
}


def build(**kwargs):
    torch.manual_seed(0)
    backbone = MODELS.build(dict(type="mmresizer.InceptionV2", **kwargs))
    backbone.init_weights()
    return backbone


def randomize_norms(module):
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.5, 2)
            nn.init.normal_(norm.bias)
            nn.init.normal_(norm.running_mean)
            nn.init.uniform_(norm.running_var, 0.5, 2)


def test_number_of_parameters():
    """TF-slim's number counts running statistics, and its norms have no scale."""
    backbone = InceptionV2()
    norms = [m for m in backbone.modules() if isinstance(m, nn.BatchNorm2d)]
    parameters = sum(p.numel() for p in backbone.parameters())
    scales = sum(norm.weight.numel() for norm in norms)
    statistics = sum(norm.running_mean.numel() * 2 for norm in norms)
    assert parameters - scales + statistics == 10_173_112
    assert (parameters, scales) == (10_163_224, 9_888)
    classifier = nn.Sequential(backbone, nn.Linear(1024, 1000))
    assert sum(p.numel() for p in classifier.parameters()) == 11_188_224


def test_shapes():
    backbone, shapes = InceptionV2(out_indices=(0, 1, 2, 3)).eval(), {}
    for name, module in backbone.named_modules():
        if name in SHAPES:
            module.register_forward_hook(
                lambda *args, name=name: shapes.update({name: tuple(args[2].shape[1:])})
            )
    with torch.no_grad():
        outs = backbone(torch.rand(1, 3, 224, 224))
    assert shapes == SHAPES
    assert [tuple(out.shape) for out in outs] == [
        (1, 192, 56, 56),
        (1, 320, 28, 28),
        (1, 576, 14, 14),
        (1, 1024, 7, 7),
    ]


@pytest.mark.parametrize(
    ("size", "out_size"),
    # The last two are TF-slim's.
    [
        ((32, 32), (1, 1)),
        ((33, 95), (2, 3)),
        ((112, 112), (4, 4)),
        ((250, 300), (8, 10)),
    ],
)
@torch.no_grad()
def test_any_size(size, out_size):
    (out,) = InceptionV2(in_channels=1).eval()(torch.rand(1, 1, *size))
    assert out.shape == (1, 1024, *out_size)


def conv_norm_relu(x, state, name, stride=1):
    """A convolution of zero padding, a norm layer of eps 0.001 and ReLU."""
    weight = state[f"{name}.conv.weight"]
    x = F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)
    mean, var, gamma, beta = (
        state[f"{name}.bn.{key}"][:, None, None]
        for key in ("running_mean", "running_var", "weight", "bias")
    )
    return (gamma * (x - mean) / (var + 1e-3).sqrt() + beta).clamp(min=0)


def max_pool(x, stride):
    return F.max_pool2d(x, 3, stride, padding=1)


def avg_pool(x, stride):
    """The mean of the pixels inside of the map, as TensorFlow's."""
    ones = torch.ones_like(x)
    return F.avg_pool2d(x, 3, stride, 1) / F.avg_pool2d(ones, 3, stride, 1)


@torch.no_grad()
def test_stem():
    """Its separable convolution is a 7x7 convolution whose kernel is a product."""
    stem = build().double().stages[0].eval()
    randomize_norms(stem)
    s = stem.state_dict()
    nn.init.normal_(s["1.conv.bias"])
    depthwise = s["0.weight"].reshape(3, 8, 7, 7)
    pointwise = s["1.conv.weight"].reshape(64, 3, 8)
    kernel = torch.einsum("cmij,ocm->ocij", depthwise, pointwise)
    x = torch.randn(2, 3, 33, 40).double()
    y = F.conv2d(x, kernel, s["1.conv.bias"], stride=2, padding=3).clamp(min=0)
    y = conv_norm_relu(conv_norm_relu(max_pool(y, 2), s, "3"), s, "4")
    torch.testing.assert_close(stem(x), y)


@pytest.mark.parametrize(
    ("name", "branches", "pool", "stride"),
    [
        *((f"1.mixed_3{i}", (1, 2, 3), avg_pool, 1) for i in "bc"),
        *((f"2.mixed_4{i}", (1, 2, 3), avg_pool, 1) for i in "bcde"),
        *((f"{i}.mixed_{i + 2}a", (2, 3), max_pool, 2) for i in (2, 3)),
        ("3.mixed_5b", (1, 2, 3), avg_pool, 1),
        ("3.mixed_5c", (1, 2, 3), max_pool, 1),
    ],
)
@torch.no_grad()
def test_blocks(name, branches, pool, stride):
    """Each equals the table's row: branches of 1, 2 and 3 convolutions, then a pool."""
    block = build().double().stages.get_submodule(name).eval()
    randomize_norms(block)
    state = block.state_dict()
    # Negative pixels tell zero padding from none.
    x = torch.randn(2, state["branches.0.0.conv.weight"].shape[1], 9, 8).double() - 1
    outs = []
    for i, length in enumerate(branches):
        y = x
        for j in range(length):
            last = j == length - 1
            y = conv_norm_relu(y, state, f"branches.{i}.{j}", stride if last else 1)
        outs.append(y)
    y = pool(x, stride)
    if stride == 1:
        y = conv_norm_relu(y, state, f"branches.{len(branches)}.1")
    torch.testing.assert_close(block(x), torch.cat([*outs, y], dim=1))


@torch.no_grad()
def test_out_indices():
    x = torch.rand(1, 3, 64, 64)
    outs = [x]
    for stage in build().eval().stages:
        outs.append(stage(outs[-1]))
    for indices in ((3,), [0], (1, 2)):
        expected = tuple(outs[i + 1] for i in indices)
        actual = build(out_indices=indices).eval()(x)
        torch.testing.assert_close(actual, expected, rtol=0, atol=0)


def train_step(backbone):
    """Trains for a step; returns the names of what has changed."""
    before = deepcopy(backbone.state_dict())
    optimizer = torch.optim.SGD(backbone.parameters(), lr=0.1)
    loss = backbone(torch.randn(4, 3, 64, 64))[-1].square().mean()
    if loss.requires_grad:
        loss.backward()
        optimizer.step()
    after = backbone.state_dict()
    return {name for name in before if not torch.equal(before[name], after[name])}


@pytest.mark.parametrize("frozen_stages", [-1, 0, 1, 3])
@pytest.mark.parametrize("again", [False, True], ids=["new", "train"])
def test_frozen_stages(frozen_stages, again):
    """Neither parameters nor statistics of them change; all others do."""
    backbone = build(frozen_stages=frozen_stages)
    if again:
        backbone.eval()
        backbone.train()
    frozen = tuple(f"stages.{i}." for i in range(frozen_stages + 1))
    expected = {name for name in backbone.state_dict() if not name.startswith(frozen)}
    assert train_step(backbone) == expected
    assert all(
        p.requires_grad != n.startswith(frozen) for n, p in backbone.named_parameters()
    )


def test_norm_eval():
    backbone = build(norm_eval=True)
    assert train_step(backbone) == {name for name, _ in backbone.named_parameters()}
    assert backbone.training
    norms = [m for m in backbone.modules() if isinstance(m, _BatchNorm)]
    assert len(norms) == 68
    assert not any(norm.training for norm in norms)


def test_train_and_eval():
    """In eval mode an image's features do not depend on the others of its batch."""
    backbone, x = build(), torch.randn(4, 3, 64, 64)
    with torch.no_grad():
        batch, half = (backbone.train()(images)[0] for images in (x, x[:2]))
        assert (batch[:2] - half).abs().max() > 0.1
        batch, half = (backbone.eval()(images)[0] for images in (x, x[:2]))
        torch.testing.assert_close(batch[:2], half, rtol=1e-4, atol=1e-4)


def test_init_cfg():
    """It reaches every convolution, the default one by fan-in."""
    for name, weight in build().named_parameters():
        if weight.ndim == 4:
            std = (2 / weight[0].numel()) ** 0.5
            assert weight.std().item() == pytest.approx(std, rel=0.1), name
    init_cfg = dict(type="Constant", layer="Conv2d", val=0.5)
    for name, weight in build(init_cfg=init_cfg).named_parameters():
        assert weight.ndim != 4 or (weight == 0.5).all(), name


def test_without_norm():
    """The convolutions have a bias instead, but for the stem's depthwise one."""
    modules = list(build(norm_cfg=None).modules())
    assert not any(isinstance(m, _BatchNorm) for m in modules)
    biases = [m.bias is not None for m in modules if isinstance(m, nn.Conv2d)]
    assert biases == [False] + [True] * 69


def test_in_resizer_classifier():
    """The resizer sets the size of its features; all parameters get a gradient."""
    torch.manual_seed(0)
    model = MODELS.build(
        ConfigDict(
            type="mmresizer.ResizerClassifier",
            resizer=dict(type="mmresizer.LearnedResizer", output_size=64),
            backbone=dict(type="mmresizer.InceptionV2", out_indices=[3]),
            neck=dict(type="mmpretrain.GlobalAveragePooling"),
            head=dict(type="mmpretrain.LinearClsHead", num_classes=5, in_channels=1024),
        )
    )
    model.init_weights()
    images = torch.randn(4, 3, 80, 100)
    assert model.extract_feat(images, stage="backbone")[0].shape == (4, 1024, 2, 2)
    samples = [DataSample().set_gt_label(i) for i in range(4)]
    model(images, samples, mode="loss")["loss"].backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name
    with torch.no_grad():
        assert model.eval()(images).shape == (4, 5)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        *(
            (dict(out_indices=value), "out_indices must be .* from 0 to 3, but got {}")
            for value in (3, "3", (), (4,), (0, -1), [1.0], (True,), None)
        ),
        *(
            (dict(frozen_stages=value), "frozen_stages must be .* from -1 to 3, .* {}")
            for value in (-2, 4, 1.0, True, "1", None)
        ),
    ],
)
def test_bad_arguments(kwargs, message):
    (value,) = kwargs.values()
    with pytest.raises(InputError, match=message.format(re.escape(repr(value))) + "$"):
        InceptionV2(**kwargs)
