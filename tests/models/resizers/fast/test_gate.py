"""The fast paths of the learned resizer against the plain one."""

from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.autograd import forward_ad, gradcheck

from mmresizer.models import LearnedResizer
from mmresizer.models.resizers.fast import (
    Path,
    choose_path,
    packed_conv,
    tiled_stem,
)
from mmresizer.utils import InputError


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    """Several tiles an image, of images that take milliseconds."""
    monkeypatch.setattr(tiled_stem, "_CPU_TILE_BYTES", 2**13)
    monkeypatch.setattr(packed_conv, "_MIN_VALUES", 0)
    monkeypatch.setattr(tiled_stem, "_MIN_MAP_BYTES", 0)
    monkeypatch.setattr(tiled_stem, "_MIN_BATCH_STATS_BYTES", 0)


def find_path(resizer, x):
    _, interpolation = resizer._resize_image(x)
    return choose_path(resizer, x, interpolation)


def make(seed=0, **kwargs):
    """A resizer in float64 whose norms are not the identity."""
    torch.manual_seed(seed)
    resizer = LearnedResizer(**kwargs).double()
    resizer.init_weights()
    for m in resizer.modules():
        if isinstance(m, nn.BatchNorm2d) and m.affine:
            nn.init.normal_(m.weight, 1, 0.3)
            nn.init.normal_(m.bias, 0, 0.3)
        if isinstance(m, nn.BatchNorm2d) and m.track_running_stats:
            nn.init.normal_(m.running_mean, 0, 0.3)
            nn.init.uniform_(m.running_var, 0.5, 2)
    return resizer


def random_cases():
    """Sizes, factors from 0.3 to 4, kernels, channels and memory layouts."""
    generator = torch.Generator().manual_seed(0)

    def draw(options):
        return options[int(torch.randint(len(options), (1,), generator=generator))]

    cases = []
    for seed in range(40):
        interpolation = draw(["bilinear", "bilinear", "bicubic", "area", "nearest"])
        factor = 0.3 * (4 / 0.3) ** float(torch.rand(1, generator=generator))
        height, width = (
            int(v) for v in torch.randint(9, 60, (2,), generator=generator)
        )
        size = draw(
            [
                dict(output_size=(max(1, round(height / factor)), draw([7, 16, 33]))),
                dict(scale_factor=(max(1 / factor, 1 / height), draw([0.5, 1.0, 1.7]))),
            ]
        )
        channels = draw([1, 3, 3, 5])
        cases.append(
            (
                dict(
                    **size,
                    in_channels=channels,
                    mid_channels=draw([4, 16]),
                    num_blocks=draw([0, 1, 2]),
                    interpolation=interpolation,
                    antialias=interpolation.startswith("bi") and draw([True, False]),
                    stem_stride=draw([1, 1, 1, 2, 3]),
                    norm_cfg=draw(
                        [
                            dict(type="BN"),
                            dict(type="BN", momentum=None),
                            dict(type="BN", affine=False),
                            dict(type="BN", track_running_stats=False),
                            None,
                        ]
                    ),
                    with_cp=draw([True, False]),
                ),
                (draw([1, 2, 3]), channels, height, width),
                draw(["contiguous", "channels_last", "strided"]),
                seed,
            )
        )
    # A bicubic kernel right on a pixel reads one row, later than its neighbours begin.
    for antialias in (False, True):
        kwargs = dict(
            output_size=60, interpolation="bicubic", antialias=antialias, mid_channels=4
        )
        cases.append((kwargs, (1, 3, 20, 20), "contiguous", 1))
    return cases


def images(shape, layout, dtype=torch.float64):
    if layout == "strided":
        n, c, h, w = shape
        return torch.randn(n, c, 2 * h, w + 5, dtype=dtype)[:, :, ::2, 2:-3]
    x = torch.randn(shape, dtype=dtype)
    if layout == "channels_last":
        x = x.to(memory_format=torch.channels_last)
    return x


@pytest.mark.parametrize(("kwargs", "shape", "layout", "seed"), random_cases())
def test_equals_the_layers(kwargs, shape, layout, seed, monkeypatch):
    """Outputs, all gradients and the statistics of the norms, in float64."""
    if seed % 4 == 0:  # all images in one tile
        monkeypatch.setattr(tiled_stem, "_CPU_TILE_BYTES", 2**24)
    ours = make(seed, **kwargs)
    plain = deepcopy(ours)
    plain.with_cp = False
    x = images(shape, layout)
    has_norm = kwargs.get("norm_cfg", True) is not None
    assert find_path(ours, x) is (Path.TILED if has_norm else Path.TILED_FOLDED)
    for _ in range(2):
        x1, x2 = (x.detach().clone().requires_grad_() for _ in range(2))
        y1, y2 = ours(x1), plain.forward_plain(x2)
        assert torch.allclose(y1, y2, rtol=1e-8, atol=1e-8)
        weights = torch.randn_like(y1)
        (y1 * weights).sum().backward()
        (y2 * weights).sum().backward()
        assert torch.allclose(x1.grad, x2.grad, rtol=1e-8, atol=1e-8)
    for (name, a), (_, b) in zip(
        ours.named_parameters(), plain.named_parameters(), strict=True
    ):
        difference = (a.grad - b.grad).abs().max()
        assert difference < 1e-8 * max(1, b.grad.abs().max()), name
    for (name, a), (_, b) in zip(
        ours.named_buffers(), plain.named_buffers(), strict=True
    ):
        assert torch.allclose(a, b, rtol=1e-10, atol=1e-10), name
    ours.eval(), plain.eval()
    with torch.no_grad():
        folds = getattr(ours.stem.norm, "track_running_stats", True)
        path = Path.TILED_FOLDED if folds else Path.TILED
        assert find_path(ours, x) is path
        before = x.clone()
        assert torch.allclose(ours(x), plain.forward_plain(x), rtol=1e-8, atol=1e-8)
        assert torch.equal(x, before)
    # Frozen statistics, as in fine-tuning with norms in eval mode.
    assert torch.allclose(ours(x), plain.forward_plain(x), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "kwargs",
    [
        dict(output_size=(3, 4)),
        dict(scale_factor=1.5),
        dict(output_size=2, interpolation="bicubic", antialias=True),
        dict(output_size=(2, 5), interpolation="nearest"),
        dict(output_size=4, stem_stride=2),
    ],
)
def test_gradcheck(kwargs, training):
    resizer = make(mid_channels=3, act_cfg=dict(type="GELU"), **kwargs).train(training)
    x = torch.randn(2, 3, 8, 9, dtype=torch.float64, requires_grad=True)
    names, weights = zip(*resizer.named_parameters(), strict=True)

    def run(x, *weights):
        module = deepcopy(resizer)
        for name, weight in zip(names, weights, strict=True):
            path, _, last = name.rpartition(".")
            owner = module.get_submodule(path)
            delattr(owner, last)
            setattr(owner, last, weight)
        return module(x)

    assert find_path(resizer, x) is (Path.TILED if training else Path.TILED_FOLDED)
    assert gradcheck(run, (x, *weights), fast_mode=True)


def test_float32_at_full_size(monkeypatch):
    """Inference to 1e-5, gradients to 1e-4 relative, with tiles as large as in use."""
    monkeypatch.undo()
    ours = make(output_size=112).float()
    plain = deepcopy(ours)
    x = torch.randn(2, 3, 224, 224)
    weights = torch.randn(2, 3, 112, 112)
    for resizer, run in ((ours, ours), (plain, plain.forward_plain)):
        (run(x) * weights).sum().backward()
        resizer.eval()
    for (name, a), (_, b) in zip(
        ours.named_parameters(), plain.named_parameters(), strict=True
    ):
        assert (a.grad - b.grad).abs().max() < 1e-4 * b.grad.abs().max(), name
    with torch.no_grad():
        assert (ours(x) - plain.forward_plain(x)).abs().max() < 1e-5


@pytest.mark.parametrize("mode", ["train", "infer"])
@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
def test_keeps_the_memory_layout(layout, mode):
    resizer = LearnedResizer(12).train(mode == "train")
    x = images((2, 3, 24, 24), layout, torch.float32)
    with torch.set_grad_enabled(mode == "train"):
        y = resizer(x)
    expected = (
        torch.contiguous_format if layout == "contiguous" else torch.channels_last
    )
    assert y.is_contiguous(memory_format=expected)


def test_training_after_inference_mode():
    """Nothing that inference mode leaves behind gets in the way of gradients."""
    resizer = make(output_size=9, interpolation="nearest").eval()
    x = torch.randn(2, 3, 37, 37, dtype=torch.float64)
    with torch.inference_mode():
        resizer(x)
    resizer(x.requires_grad_()).sum().backward()
    assert x.grad.abs().max() > 0


def test_empty_batch():
    resizer = LearnedResizer(8).eval()
    assert resizer(torch.rand(0, 3, 20, 20)).shape == (0, 3, 8, 8)
    with torch.no_grad():
        assert resizer(torch.rand(0, 3, 20, 20)).shape == (0, 3, 8, 8)


@pytest.mark.parametrize("stride", [1, 2])
def test_refuses_a_single_value_like_batch_norm(stride):
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        LearnedResizer(1, stem_stride=stride)(torch.rand(1, 3, stride, stride))


def test_frozen_weights():
    """Only the rest gets gradients, also where the norms are in training."""
    ours = make(output_size=8)
    for parameter in ours.stem.parameters():
        parameter.requires_grad = False
    plain = deepcopy(ours)
    x = torch.randn(2, 3, 30, 20, dtype=torch.float64)
    ours(x).square().sum().backward()
    plain.forward_plain(x).square().sum().backward()
    assert ours.stem.conv1.weight.grad is None
    torch.testing.assert_close(ours.out.weight.grad, plain.out.weight.grad)
    torch.testing.assert_close(ours.stem.norm.running_var, plain.stem.norm.running_var)


def test_norms_that_were_fused_away():
    """As mmcv's `fuse_conv_bn` leaves them."""
    resizer = make(output_size=8).eval()
    for layer in (resizer.blocks[0].layer1, resizer.blocks[0].layer2, resizer.fuse):
        layer.norm = nn.Identity()
    x = torch.randn(2, 3, 30, 20, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(resizer(x), resizer.forward_plain(x))


def test_activations_that_cannot_work_in_place():
    act = dict(type="LeakyReLU", negative_slope=-0.5)
    resizer = make(output_size=8, act_cfg=act)
    resizer(torch.randn(2, 3, 30, 20, dtype=torch.float64)).sum().backward()
    assert resizer.stem.conv1.weight.grad.abs().max() > 0


@pytest.mark.parametrize(
    "kwargs",
    [
        dict(norm_cfg=dict(type="GN", num_groups=4)),
        dict(norm_cfg=dict(type="IN2d", affine=True)),
        dict(act_cfg=dict(type="PReLU")),
        dict(act_cfg=dict(type="RReLU")),
    ],
)
def test_layers_that_tiles_do_not_cover(kwargs):
    resizer = LearnedResizer(8, **kwargs)
    x = torch.rand(2, 3, 30, 20)
    assert find_path(resizer, x) is Path.IN_PLACE
    resizer(x).sum().backward()
    assert resizer.stem.conv1.weight.grad.abs().max() > 0


def test_a_norm_that_does_more_than_normalize():
    class NormAct(nn.BatchNorm2d):
        def forward(self, x):
            return super().forward(x).relu()

    resizer = LearnedResizer(8)
    resizer.stem.norm = NormAct(16)
    assert find_path(resizer, torch.rand(2, 3, 30, 20)) is Path.IN_PLACE


@pytest.mark.parametrize("layer", ["stem.conv2", "fuse.conv", "out"])
def test_a_convolution_that_does_more_than_convolve(layer):
    class Doubled(nn.Conv2d):
        def forward(self, x):
            return 2 * super().forward(x)

    resizer = make(output_size=8).eval()
    expected = deepcopy(resizer)
    conv = expected.get_submodule(layer)
    for parameter in conv.parameters():
        parameter.data *= 2
    resizer.get_submodule(layer).__class__ = Doubled
    x = torch.randn(2, 3, 30, 20, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(resizer(x), expected.forward_plain(x))


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize(
    "layer", ["stem.conv1", "stem.norm", "blocks.0.layer1", "fuse", "out"]
)
def test_hooks_hold_whole_maps(layer, grad):
    """As those of feature extraction do; nothing changes the maps afterwards."""
    resizer = make(output_size=8).eval()
    plain = deepcopy(resizer)
    x = torch.randn(2, 3, 30, 20, dtype=torch.float64)
    held = []
    for r in (resizer, plain):
        r.get_submodule(layer).register_forward_hook(
            lambda module, args, output: held.append(output)
        )
    with torch.set_grad_enabled(grad):
        torch.testing.assert_close(resizer(x), plain.forward_plain(x))
    torch.testing.assert_close(*held)


@pytest.mark.parametrize("layer", ["stem.conv1", "blocks.0.layer1", "fuse", "out"])
def test_backward_hooks(layer):
    resizer = make(output_size=8)
    gradients = []
    resizer.get_submodule(layer).register_full_backward_hook(
        lambda module, d_input, d_output: gradients.append(d_output[0])
    )
    resizer(torch.randn(2, 3, 30, 20, dtype=torch.float64)).sum().backward()
    assert [g.abs().max() > 0 for g in gradients] == [True]


@pytest.mark.parametrize("with_cp", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_compiles_without_graph_breaks(training, with_cp):
    resizer = LearnedResizer(8, with_cp=with_cp).train(training)
    other = deepcopy(resizer)
    compiled = torch.compile(other, fullgraph=True, backend="aot_eager")
    x = torch.rand(2, 3, 20, 20)
    for run in (compiled, resizer):
        run(x).square().sum().backward()
    torch.testing.assert_close(compiled(x), resizer(x))
    for (name, p), (_, q) in zip(
        other.named_parameters(), resizer.named_parameters(), strict=True
    ):
        assert (p.grad - q.grad).abs().max() < 1e-5 * q.grad.abs().max(), name
    for (name, a), (_, b) in zip(
        other.named_buffers(), resizer.named_buffers(), strict=True
    ):
        torch.testing.assert_close(a, b, msg=name)


def test_traces():
    resizer = LearnedResizer(scale_factor=0.5).eval()
    traced = torch.jit.trace(resizer, torch.rand(1, 3, 20, 20))
    x = torch.rand(2, 3, 40, 30)
    torch.testing.assert_close(traced(x), resizer(x))


def test_used_twice_before_the_backward_pass():
    ours = make(output_size=8)
    plain = deepcopy(ours)
    a, b = (torch.randn(2, 3, s, 20, dtype=torch.float64) for s in (30, 17))
    (ours(a) * ours(b)).sum().backward()
    (plain.forward_plain(a) * plain.forward_plain(b)).sum().backward()
    for p, q in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad, rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(ours.stem.norm.running_var, plain.stem.norm.running_var)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision(dtype):
    """Statistics in float32, and the result of float32 to the type's precision."""
    resizer = make(output_size=20).float()
    x = torch.randn(2, 3, 50, 41)
    low = deepcopy(resizer).to(dtype)
    y = low(x.to(dtype))
    assert y.dtype == dtype
    reference = resizer.forward_plain(x)
    assert (y.float() - reference).abs().max() < 0.05 * reference.abs().max()
    y.float().sum().backward()
    assert all(p.grad.isfinite().all() for p in low.parameters())
    running = low.stem.norm.running_var.float()
    with torch.no_grad():  # in training mode, as when statistics are made anew
        assert low(x.to(dtype)).isfinite().all()
    torch.testing.assert_close(
        running, resizer.stem.norm.running_var, rtol=0.02, atol=0
    )


def test_autocast_takes_its_gradients_to_float32_weights():
    """No further from those of float32 than the plain layers take theirs.

    The weights of the loss do not cancel: what rounding adds everywhere would show.
    """
    ours = make(output_size=80).float()
    plain, exact = deepcopy(ours), deepcopy(ours)
    x = torch.randn(2, 3, 160, 160)
    weights = torch.rand(2, 3, 80, 80)
    with torch.autocast("cpu", torch.bfloat16):
        y1, y2 = ours(x), plain.forward_plain(x)
    for y in (y1, y2, exact.forward_plain(x)):
        (y * weights).sum().backward()

    def error(resizer):
        pairs = zip(resizer.parameters(), exact.parameters(), strict=True)
        return max((p.grad - q.grad).norm() / q.grad.norm() for p, q in pairs)

    assert all(p.grad.dtype == torch.float32 for p in ours.parameters())
    assert error(ours) < 2 * error(plain)


def test_training_keeps_few_maps():
    """Bytes held for the backward pass, beside those of the plain layers."""

    def saved_bytes(run):
        storages = {}

        def pack(tensor):
            storage = tensor.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
            return tensor

        x = torch.rand(2, 3, 96, 96)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            y = run(x)
        del y
        return sum(storages.values())

    resizer = LearnedResizer(48)
    saving = LearnedResizer(48, with_cp=True)
    plain = saved_bytes(resizer.forward_plain)
    assert saved_bytes(resizer) < 0.4 * plain
    assert saved_bytes(saving) < 0.15 * plain


def layers_called(resizer, x, monkeypatch):
    """Names of the convolutions that a call runs as layers, in order."""
    names = {module: name for name, module in resizer.named_modules()}
    called = []
    forward = nn.Conv2d.forward
    with monkeypatch.context() as patch:
        patch.setattr(
            nn.Conv2d,
            "forward",
            lambda conv, y: called.append(names[conv]) or forward(conv, y),
        )
        resizer(x)
    return called


STEM = ["stem.conv1", "stem.conv2"]
REST = ["blocks.0.layer1.conv", "blocks.0.layer2.conv", "fuse.conv"]
ALL = [*STEM, *REST, "out"]


@pytest.mark.parametrize(
    ("kwargs", "training", "grad", "path", "layers"),
    [
        (dict(), True, True, Path.TILED, REST),
        (dict(), True, False, Path.TILED, REST),
        (dict(), False, True, Path.TILED_FOLDED, []),
        (dict(), False, False, Path.TILED_FOLDED, []),
        (dict(norm_cfg=None), True, True, Path.TILED_FOLDED, []),
        (dict(in_channels=5), False, True, Path.TILED_FOLDED, []),
        (
            dict(norm_cfg=dict(type="GN", num_groups=4)),
            False,
            False,
            Path.IN_PLACE,
            [*STEM, *REST],
        ),
    ],
)
def test_paths(kwargs, training, grad, path, layers, monkeypatch):
    """A layer that is not called has been replaced."""
    resizer = LearnedResizer(8, **kwargs).train(training)
    x = torch.rand(2, kwargs.get("in_channels", 3), 30, 20)
    with torch.set_grad_enabled(grad):
        assert find_path(resizer, x) is path
        assert layers_called(resizer, x, monkeypatch) == layers


def test_small_maps_need_no_tiles(monkeypatch):
    """Batches of maps of 1, 4 and 16 MiB."""
    resizer = LearnedResizer(9)
    one, four, sixteen = (torch.rand(1, 3, n, n) for n in (128, 256, 512))
    monkeypatch.undo()
    assert find_path(resizer, four) is Path.IN_PLACE
    assert find_path(resizer, sixteen) is Path.TILED
    assert find_path(resizer.eval(), one) is Path.IN_PLACE
    assert find_path(resizer, four) is Path.TILED_FOLDED


def test_other_devices_have_no_tiles():
    resizer = LearnedResizer(8, with_cp=True).to("meta")
    x = torch.rand(1, 3, 30, 20, device="meta")
    assert find_path(resizer, x) is Path.IN_PLACE


@torch.no_grad()
@pytest.mark.parametrize("part", ["blocks.0", "fuse", "out"])
def test_parts_that_are_not_as_built(part):
    """Their own `forward` runs."""

    class Three(nn.Module):
        def forward(self, x):
            return torch.full((len(x), 1, *x.shape[2:]), 3.0, dtype=x.dtype)

    resizer = make(output_size=8, mid_channels=1, in_channels=1).eval()
    x = torch.randn(2, 1, 30, 20, dtype=torch.float64)
    before = resizer(x)
    resizer.set_submodule(part, Three())
    y = resizer(x)
    assert not torch.allclose(y, before)
    torch.testing.assert_close(y, resizer.forward_plain(x))


@torch.no_grad()
@pytest.mark.parametrize(
    ("part", "conv"),
    [
        ("stem.conv1", dict(kernel_size=7, padding=3, padding_mode="reflect")),
        ("stem.conv1", dict(kernel_size=5, padding=3)),
        ("stem.conv2", dict(kernel_size=1, groups=2)),
        ("blocks.0.layer1.conv", dict(kernel_size=3, padding=2, dilation=2)),
        ("blocks.0.layer2.conv", dict(kernel_size=5, padding=2)),
        ("fuse.conv", dict(kernel_size=3, padding=1, groups=16)),
        ("out", dict(kernel_size=7, padding=3, padding_mode="replicate")),
    ],
)
def test_convolutions_with_other_settings(part, conv):
    resizer = make(output_size=8).eval()
    old = resizer.get_submodule(part)
    channels = old.in_channels, old.out_channels
    resizer.set_submodule(part, nn.Conv2d(*channels, **conv).double())
    x = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    torch.testing.assert_close(resizer(x), resizer.forward_plain(x))


@pytest.mark.parametrize("part", ["blocks.0.layer1", "blocks.0.layer2", "fuse"])
def test_layers_that_are_none(part):
    """What they return is not overwritten."""
    resizer = make(output_size=8)
    resizer.set_submodule(part, nn.Identity())
    x = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    torch.testing.assert_close(resizer(x), resizer.forward_plain(x))


@pytest.mark.parametrize("part", ["stem.conv1", "blocks.0.layer1", "out"])
def test_methods_that_others_have_wrapped(part):
    """As accelerate's hooks do: the attribute of the instance is called."""
    resizer = make(output_size=8).eval()
    layer = resizer.get_submodule(part)
    layer.forward = lambda x, forward=layer.forward: 2 * forward(x)
    x = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    torch.testing.assert_close(resizer(x), resizer.forward_plain(x))


def test_gradients_switched_on_in_inference_mode():
    resizer = make(output_size=9).eval()
    with torch.inference_mode(), torch.enable_grad():
        x = torch.randn(2, 3, 37, 37, dtype=torch.float64)
        torch.testing.assert_close(resizer(x), resizer.forward_plain(x))


@pytest.mark.parametrize("training", [True, False])
def test_switched_off(training, monkeypatch):
    """Bit for bit the plain path, whose convolutions are all called as layers."""
    resizer = make(output_size=8).train(training)
    x = torch.randn(2, 3, 30, 20, dtype=torch.float64)
    with torch.set_grad_enabled(training):
        monkeypatch.setenv("MMRESIZER_FAST", "1")
        assert layers_called(resizer, x, monkeypatch) != ALL
        monkeypatch.setenv("MMRESIZER_FAST", "0")
        assert layers_called(resizer, x, monkeypatch) == ALL
        assert torch.equal(resizer(x), resizer.forward_plain(x))


def test_refuses_other_switches(monkeypatch):
    monkeypatch.setenv("MMRESIZER_FAST", "off")
    with pytest.raises(InputError, match="MMRESIZER_FAST must be 0 or 1, but is 'off'"):
        LearnedResizer(8)(torch.rand(1, 3, 20, 20))


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (torch.utils._python_dispatch, "is_in_torch_dispatch_mode"),
        (torch._C, "_are_functorch_transforms_active"),
        (forward_ad, "_current_level"),
        (nn.modules.module, "_has_any_global_hook"),
    ],
)
@pytest.mark.parametrize("training", [True, False])
def test_other_versions_of_torch(owner, name, training, monkeypatch):
    """Without a private function the layers run, and give what they gave with it."""
    resizer = make(output_size=8).train(training)
    x = torch.randn(2, 3, 30, 20, dtype=torch.float64)
    with torch.set_grad_enabled(training):
        expected = resizer(x)
        monkeypatch.delattr(owner, name)
        assert layers_called(resizer, x, monkeypatch) == ALL
        torch.testing.assert_close(resizer(x), expected)


def test_a_batch_without_images():
    resizer = LearnedResizer(24)
    x = torch.randn(0, 3, 96, 96, requires_grad=True)
    resizer.eval()(x).sum().backward()
    assert x.grad.shape == x.shape
