"""The stem where interpolation reads it, against the plain path in float64."""

from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mmresizer.models import LearnedResizer
from mmresizer.models.resizers.fast import Path, choose_path
from mmresizer.models.resizers.fast.sampled_stem import sampled_stem
from mmresizer.models.resizers.fast.tiled_stem import stem_weights
from mmresizer.utils import InputError

UNTRACKED = dict(type="BN", track_running_stats=False)
SAMPLED = (Path.SAMPLED, Path.SAMPLED_FOLDED)


def make(**kwargs):
    """A resizer in float64 whose norms have statistics of their own."""
    torch.manual_seed(0)
    resizer = LearnedResizer(**kwargs).double()
    for m in resizer.modules():
        if isinstance(m, nn.BatchNorm2d):
            nn.init.normal_(m.weight, 1, 0.3)
            nn.init.normal_(m.bias, 0, 0.3)
            nn.init.normal_(m.running_mean, 0, 0.3)
            nn.init.uniform_(m.running_var, 0.5, 2)
    return resizer.eval()


def find_path(resizer, x):
    _, interpolation = resizer._resize_image(x)
    return choose_path(resizer, x, interpolation)


def gradients(y, inputs):
    weights = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).reshape(y.shape)
    return torch.autograd.grad((y * weights).sum(), inputs)


@pytest.mark.parametrize("norm_cfg", [None, dict(type="BN")])
@pytest.mark.parametrize(
    ("size", "kwargs"),
    [
        ((36, 24), dict(output_size=(9, 6))),  # each even factor has its own padding
        ((36, 24), dict(output_size=(6, 4))),
        ((32, 48), dict(output_size=(4, 6))),
        ((40, 30), dict(output_size=(4, 3))),
        ((36, 24), dict(output_size=(12, 8))),  # odd
        ((36, 25), dict(output_size=(4, 5))),
        ((33, 22), dict(scale_factor=1 / 11)),
        ((30, 20), dict(output_size=(30, 5))),  # the rows stay
        ((30, 24), dict(output_size=(15, 3))),  # one factor of 2
        ((36, 24), dict(output_size=(6, 12), interpolation="nearest")),
        ((48, 36), dict(output_size=(8, 6), interpolation="bicubic")),
        ((48, 35), dict(output_size=(6, 5), interpolation="bicubic")),
        ((48, 33), dict(output_size=(6, 4), stem_stride=2)),
        ((49, 30), dict(output_size=(4, 2), stem_stride=3)),
        ((36, 24), dict(output_size=(9, 6), with_cp=True, num_blocks=2)),
        ((36, 24), dict(output_size=(9, 6), act_cfg=dict(type="GELU"), in_channels=1)),
    ],
)
@pytest.mark.parametrize("batch", [1, 3])
def test_equals_the_layers(size, kwargs, norm_cfg, batch):
    resizer = make(norm_cfg=norm_cfg, **kwargs)
    shape = (batch, kwargs.get("in_channels", 3), *size)
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    assert find_path(resizer, x) is Path.SAMPLED_FOLDED
    ours, plain = resizer(x), resizer.forward_plain(x)
    assert torch.allclose(ours, plain, rtol=1e-9, atol=1e-9)
    inputs = (x, *resizer.parameters())
    for a, b in zip(gradients(ours, inputs), gradients(plain, inputs), strict=True):
        assert torch.allclose(a, b, rtol=1e-8, atol=1e-8)
    with torch.no_grad():
        assert torch.allclose(resizer(x), plain, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "kwargs",
    [
        dict(output_size=(15, 10)),  # a factor of 2: all positions are read
        dict(output_size=(6, 4), antialias=True),
        dict(output_size=(6, 4), interpolation="area"),
        dict(output_size=(7, 4)),  # no integer factor
        dict(output_size=(60, 40)),
        dict(output_size=(15, 5), interpolation="bicubic"),
        dict(output_size=(6, 4), norm_cfg=dict(type="GN", num_groups=4)),
        dict(output_size=(6, 4), act_cfg=dict(type="PReLU", num_parameters=16)),
        dict(output_size=(6, 4), stem_stride=4),
    ],
)
def test_calls_that_it_does_not_cover(kwargs):
    x = torch.randn(2, 3, 30, 20, dtype=torch.float64)
    assert find_path(make(**kwargs), x) not in SAMPLED


def test_statistics_of_a_batch_are_those_of_the_whole_map():
    resizer = make(output_size=(6, 4)).train()
    x = torch.randn(2, 3, 30, 20, dtype=torch.float64)
    assert find_path(resizer, x) not in SAMPLED


@pytest.mark.parametrize("norm", ["BN", "GN"])
@pytest.mark.parametrize("with_cp", [True, False])
def test_norm_after_resize(norm, with_cp):
    """Statistics are those of the interpolated map, and are updated once a call."""
    torch.manual_seed(0)
    norm_cfg = dict(type="BN") if norm == "BN" else dict(type="GN", num_groups=4)
    resizer = LearnedResizer(
        (6, 4), norm_cfg=norm_cfg, norm_after_resize=True, with_cp=with_cp
    ).double()
    x = torch.randn(2, 3, 30, 20, dtype=torch.float64, requires_grad=True)
    covered = norm == "BN"
    assert (find_path(resizer, x) is Path.SAMPLED) is covered
    _, resize = resizer._resize_image(x)
    stem = resizer.stem
    maps = resize(stem.act2(stem.conv2(stem.act1(stem.conv1(x)))))
    mean, var = maps.mean((0, 2, 3)), maps.var((0, 2, 3))
    plain = deepcopy(resizer)
    inputs, plain_inputs = ((x, *r.parameters()) for r in (resizer, plain))
    ours, expected = resizer(x), plain.forward_plain(x)
    torch.testing.assert_close(ours, expected)
    pairs = zip(gradients(ours, inputs), gradients(expected, plain_inputs), strict=True)
    for a, b in pairs:
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-8)
    if norm == "BN":
        torch.testing.assert_close(stem.norm.running_mean, 0.1 * mean)
        torch.testing.assert_close(stem.norm.running_var, 0.9 + 0.1 * var)


def test_norm_after_resize_is_the_same_in_inference():
    """A batch norm of fixed numbers commutes with the interpolation."""
    before = make(output_size=(6, 4))
    after = make(output_size=(6, 4), norm_after_resize=True)
    after.load_state_dict(before.state_dict())
    x = torch.randn(2, 3, 30, 20, dtype=torch.float64)
    torch.testing.assert_close(after.forward_plain(x), before.forward_plain(x))
    torch.testing.assert_close(after(x), before.forward_plain(x))


@pytest.mark.parametrize("value", [1, None, "yes"])
def test_norm_after_resize_is_a_bool(value):
    with pytest.raises(InputError, match="norm_after_resize must be True or False"):
        LearnedResizer(8, norm_after_resize=value)


def test_no_images():
    assert make(output_size=4)(torch.rand(0, 3, 24, 24).double()).shape == (0, 3, 4, 4)


def test_autocast():
    resizer = make(output_size=4, norm_cfg=None).float()
    x = torch.rand(2, 3, 32, 32)
    with torch.autocast("cpu", torch.bfloat16):
        assert find_path(resizer, x) is Path.SAMPLED_FOLDED
        ours, plain = resizer(x), resizer.forward_plain(x)
    assert ours.dtype == plain.dtype
    assert (ours - plain).abs().max() < 0.02 * plain.abs().max()


def test_reads_what_the_formula_says():
    """At factor 8 it computes 4 of 64 positions, by kernels of 8 x 8 for 7 x 7."""
    resizer = make(output_size=28, norm_cfg=None)
    x = torch.rand(1, 3, 224, 224, dtype=torch.float64)
    _, interpolation = resizer._resize_image(x)
    weights = stem_weights(resizer.stem)
    with FlopCounterMode(display=False) as counter:
        sampled_stem(x, *weights, stem=resizer.stem, to=interpolation)
    convolved = 28**2 * 4 * (16 * 3 * 8 * 8 + 16 * 16)
    assert counter.get_total_flops() == 2 * convolved


@pytest.mark.parametrize(
    ("size", "kwargs", "read"),
    [
        ((224, 224), dict(output_size=56), 4 * 56**2),
        ((224, 224), dict(output_size=28), 4 * 28**2),
        ((210, 90), dict(output_size=30), 30**2),  # factors 7 and 3
        ((224, 224), dict(output_size=28, interpolation="nearest"), 28**2),
        ((224, 224), dict(output_size=28, interpolation="bicubic"), 16 * 28**2),
        ((224, 224), dict(output_size=28, stem_stride=2), 4 * 28**2),
        ((448, 448), dict(output_size=224), 448**2),
        ((224, 224), dict(output_size=50), 224**2),
        ((224, 224), dict(output_size=28, antialias=True), 224**2),
        ((224, 224), dict(output_size=28, stem_stride=4), 56**2),
        ((40, 40), dict(scale_factor=0.1, norm_cfg=None), 4 * 4**2),
        ((40, 40), dict(output_size=4, norm_cfg=UNTRACKED), 40**2),
        (
            (40, 40),
            dict(output_size=4, norm_cfg=UNTRACKED, norm_after_resize=True),
            4 * 4**2,
        ),
    ],
)
@pytest.mark.parametrize("training", [True, False])
def test_counts_what_inference_leaves_out(size, kwargs, read, training):
    """By hand: 7x7 and 1x1 at the positions of the map that are not read."""
    resizer = LearnedResizer(**kwargs).train(training)
    stride = kwargs.get("stem_stride", 1)
    per_position = 16 * 3 * (6 + stride) ** 2 + 16 * 16
    positions = size[0] * size[1] // stride**2
    assert resizer.count_skipped_macs(size) == (positions - read) * per_position


@pytest.fixture
def compile_counting():
    """Compiles with a backend that counts the convolutions' multiply-accumulates."""
    torch._dynamo.reset()
    macs = []

    def compile_counting(resizer, **kwargs):
        def backend(graph, inputs):
            def run(*inputs):
                with FlopCounterMode(display=False) as counter:
                    outputs = graph(*inputs)
                macs.append(counter.get_total_flops() // 2)
                return outputs

            return run

        return torch.compile(resizer, backend=backend, fullgraph=True, **kwargs), macs

    yield compile_counting
    torch._dynamo.reset()


def count_plain(resizer, x):
    with FlopCounterMode(display=False) as counter:
        resizer.forward_plain(x)
    return counter.get_total_flops() // 2


@pytest.mark.parametrize(
    "kwargs",
    [
        dict(),
        dict(interpolation="nearest"),
        dict(interpolation="bicubic"),
        dict(norm_cfg=None, residual_bound=0.5),
        dict(norm_after_resize=True),
        dict(stem_stride=2, with_cp=True),
    ],
)
@torch.no_grad()
def test_compilers_compute_it_too(kwargs, compile_counting):
    resizer = make(output_size=(4, 6), **kwargs)
    compiled, macs = compile_counting(resizer)
    x = torch.randn(2, 3, 32, 48).double()
    torch.testing.assert_close(compiled(x), resizer.forward_plain(x))
    skipped = 2 * resizer.count_skipped_macs((32, 48))
    assert skipped > 0
    # Of the kernels that are repeated some weights are zero.
    left = count_plain(resizer, x) - skipped
    assert left <= macs[-1] < left + 0.4 * skipped
    # At factors that are no integers all is read.
    other = torch.randn(2, 3, 22, 31).double()
    torch.testing.assert_close(compiled(other), resizer.forward_plain(other))
    assert macs[-1] == count_plain(resizer, other)


def test_compiled_training(compile_counting):
    resizer = make(output_size=(4, 6), norm_cfg=None).train()
    compiled, _ = compile_counting(resizer)
    x = torch.randn(2, 3, 32, 48).double().requires_grad_()
    inputs = [x, *resizer.parameters()]
    actual = gradients(compiled(x), inputs)
    expected = gradients(resizer.forward_plain(x), inputs)
    for a, b in zip(actual, expected, strict=True):
        torch.testing.assert_close(a, b, atol=1e-8, rtol=1e-6)


@torch.no_grad()
def test_compiled_sizes_that_are_not_fixed(compile_counting):
    resizer = make(output_size=7)
    compiled, _ = compile_counting(resizer, dynamic=True)
    for size in (56, 28, 21, 24, 50, 7, 5):
        x = torch.randn(1, 3, size, size).double()
        torch.testing.assert_close(compiled(x), resizer.forward_plain(x))


@torch.no_grad()
def test_compiled_hooks_see_the_whole_map(compile_counting):
    resizer = make(output_size=(4, 6))
    seen = []
    resizer.stem.register_forward_hook(lambda *args: seen.append(args[-1].shape))
    compiled, macs = compile_counting(resizer)
    x = torch.randn(2, 3, 32, 48).double()
    compiled(x)
    assert macs == [count_plain(resizer, x)]


@pytest.mark.parametrize("strict", [True, False])
@torch.no_grad()
def test_exports_take_other_sizes(strict):
    resizer = make(output_size=(4, 6))
    size = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    x = torch.randn(2, 3, 32, 48).double()
    program = torch.export.export(
        resizer, (x,), dynamic_shapes=(size,), strict=strict
    ).module()
    for shape in ((32, 48), (31, 45)):
        other = torch.randn(2, 3, *shape).double()
        torch.testing.assert_close(program(other), resizer.forward_plain(other))
