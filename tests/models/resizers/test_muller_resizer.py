import math
from copy import deepcopy

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from mmresizer.analysis.flops import count_costs, count_macs
from mmresizer.models import MULLERResizer
from mmresizer.registry import MODELS
from mmresizer.utils import InputError

# The authors' weights for a ResNet-50, from their demonstration.
PUBLISHED = (1.892, -0.014, -11.295, 0.003)
MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)


def blur(x, kernel_size=5, sigma=1.0):
    """A 2D Gaussian, zeros around the image."""
    radius = kernel_size // 2
    kernel = {
        (i, j): math.exp(-(i**2 + j**2) / (2 * sigma**2))
        for i in range(-radius, radius + 1)
        for j in range(-radius, radius + 1)
    }
    height, width = x.shape[1:]
    padded = np.pad(x, ((0, 0), (radius, radius), (radius, radius)))
    y = np.zeros(x.shape)
    for (i, j), weight in kernel.items():
        rows, columns = radius + i, radius + j
        y += weight * padded[:, rows : rows + height, columns : columns + width]
    return y / sum(kernel.values())


def bilinear(x, size):
    """Each output pixel from its four neighbors; half-pixel centers, clamped."""
    height, width = x.shape[1:]
    y = np.zeros((len(x), *size))
    for i in range(size[0]):
        v = min(max((i + 0.5) * height / size[0] - 0.5, 0), height - 1)
        top, bottom = int(v), min(int(v) + 1, height - 1)
        for j in range(size[1]):
            u = min(max((j + 0.5) * width / size[1] - 0.5, 0), width - 1)
            left, right = int(u), min(int(u) + 1, width - 1)
            above = x[:, top, left] * (1 - u % 1) + x[:, top, right] * (u % 1)
            below = x[:, bottom, left] * (1 - u % 1) + x[:, bottom, right] * (u % 1)
            y[:, i, j] = above * (1 - v % 1) + below * (v % 1)
    return y


def pooled_bilinear(x, size):
    """`tf.nn.avg_pool` with padding "SAME", which counts pixels alone; bilinear."""
    windows = []
    for n, target in zip(x.shape[1:], size, strict=True):
        stride = n // target
        count = math.ceil(n / stride)
        start = -((count * stride - n) // 2)
        edges = [start + stride * k for k in range(count)]
        windows.append([slice(max(k, 0), min(k + stride, n)) for k in edges])
    rows = [[x[:, v, u].mean((1, 2)) for u in windows[1]] for v in windows[0]]
    return bilinear(np.array(rows).transpose(2, 0, 1), size)


def oracle(x, size, weights, resize=bilinear, **kernel):
    """The authors' resizer, for one image of shape (C, H, W) in [0, 1]."""
    y = resize(x, size)
    for weight, bias in zip(weights[::2], weights[1::2], strict=True):
        blurred = blur(x, **kernel)
        y = y + np.tanh(weight * resize(blurred - x, size) + bias)
        x = blurred
    return y


def image(*shape, dtype=torch.float64):
    return torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


@pytest.mark.parametrize(
    ("input_size", "output_size", "weights", "kernel"),
    [
        ((48, 48), (24, 24), PUBLISHED, {}),
        ((50, 37), (12, 21), PUBLISHED, {}),
        ((17, 24), (31, 30), PUBLISHED, {}),
        ((3, 2), (5, 4), PUBLISHED, {}),  # smaller than the kernel
        ((30, 41), (11, 12), (0.5, 0.1), dict(kernel_size=3, sigma=0.7)),
        ((30, 41), (11, 12), (3, 0, 2, -0.1, -4, 0.2), dict(kernel_size=7, sigma=2)),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_equals_the_formula(input_size, output_size, weights, kernel, channels):
    x = image(2, channels, *input_size)
    resizer = MULLERResizer(
        output_size, weights=weights, num_layers=len(weights) // 2, **kernel
    ).double()
    actual = resizer(x).detach().numpy()
    assert actual.shape == (2, channels, *output_size)
    for i in range(2):
        expected = oracle(x[i].numpy(), output_size, weights, **kernel)
        np.testing.assert_allclose(actual[i], expected, rtol=0, atol=1e-6)
        # An implementation that returns plain interpolation fails.
        assert np.abs(expected - bilinear(x[i].numpy(), output_size)).max() > 0.1


def test_equals_the_formula_in_float32():
    x = image(1, 3, 60, 45, dtype=torch.float32)
    actual = MULLERResizer((20, 31), weights=PUBLISHED)(x)
    assert actual.dtype == torch.float32
    expected = oracle(x[0].double().numpy(), (20, 31), PUBLISHED)
    np.testing.assert_allclose(actual[0].detach().numpy(), expected, rtol=0, atol=1e-4)


def test_sharpens_an_edge_by_hand():
    """A kernel (a, b, c, b, a) blurs the step 0 0 1 1 to a, a + b, 1 - a - b, 1 - a."""
    a, b, c = (math.exp(-k * k / 2) for k in (2, 1, 0))
    a, b = a / (a + b + c + b + a), b / (a + b + c + b + a)
    x = torch.zeros(1, 1, 9, 9, dtype=torch.float64)
    x[..., 4:] = 1
    y = MULLERResizer(9, num_layers=1, weights=(-2, 0)).double()(x)
    dark, bright = (-math.tanh(2 * v) for v in (a, a + b)), (a + b, a)
    expected = [0, *dark, *(1 + math.tanh(2 * v) for v in bright), 1]
    np.testing.assert_allclose(y[0, 0, 4, 1:7].tolist(), expected, rtol=0, atol=1e-6)


def test_average_pool():
    """Windows of 4x3 pixels; none overhangs, some do, and they overhang both sides."""
    for size in ((48, 36), (51, 37), (49, 38)):
        x = image(1, 3, *size)
        resizer = MULLERResizer((12, 12), weights=PUBLISHED, average_pool=True).double()
        expected = oracle(x[0].numpy(), (12, 12), PUBLISHED, pooled_bilinear)
        actual = resizer(x)[0].detach().numpy()
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-6)
        plain = MULLERResizer((12, 12), weights=PUBLISHED).double()(x)[0]
        assert np.abs(actual - plain.detach().numpy()).max() > 0.01


def test_average_pool_by_factor():
    """Without weights: the mean of each 2x2 block."""
    x = image(1, 3, 20, 30)
    y = MULLERResizer(scale_factor=0.5, average_pool=True).double()(x)
    expected = x.view(1, 3, 10, 2, 15, 2).mean((3, 5))
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-12)
    # A remainder of one row and one column is in windows of its own.
    assert MULLERResizer(scale_factor=0.5, average_pool=True)(
        torch.rand(1, 3, 21, 31)
    ).shape == (1, 3, 10, 15)


@pytest.mark.parametrize("input_size", [(40, 23), (23, 40), (10, 10)])
def test_average_pool_needs_both_directions(input_size):
    x = image(1, 3, *input_size)
    kwargs = dict(output_size=12, weights=PUBLISHED)
    pooled = MULLERResizer(**kwargs, average_pool=True).double()(x)
    plain = MULLERResizer(**kwargs).double()(x)
    torch.testing.assert_close(pooled, plain, rtol=0, atol=0)


@pytest.mark.parametrize("normalization", [{}, dict(mean=MEAN, std=STD)])
@pytest.mark.parametrize(
    ("interpolation", "antialias", "mode"),
    [
        ("nearest", False, "nearest-exact"),
        ("bilinear", False, "bilinear"),
        ("bilinear", True, "bilinear"),
        ("bicubic", True, "bicubic"),
        ("area", False, "area"),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_untrained_is_interpolation(
    interpolation, antialias, mode, dtype, normalization
):
    x = torch.randn(2, 3, 40, 30).to(dtype)
    resizer = MULLERResizer(
        (12, 20), interpolation=interpolation, antialias=antialias, **normalization
    ).to(dtype)
    expected = F.interpolate(x, (12, 20), mode=mode, antialias=antialias)
    assert resizer(x).dtype == dtype
    torch.testing.assert_close(resizer(x), expected, rtol=0, atol=0)


@pytest.mark.parametrize("average_pool", [False, True])
def test_normalized_images(average_pool):
    """As if they were denormalized, resized and normalized again."""
    x = image(1, 3, 50, 37)
    mean, std = (np.array(v).reshape(3, 1, 1) / 255 for v in (MEAN, STD))
    resizer = MULLERResizer(
        (12, 15), mean=MEAN, std=STD, weights=PUBLISHED, average_pool=average_pool
    ).double()
    actual = resizer((x - torch.from_numpy(mean)) / torch.from_numpy(std))
    resize = pooled_bilinear if average_pool else bilinear
    expected = (oracle(x[0].numpy(), (12, 15), PUBLISHED, resize) - mean) / std
    np.testing.assert_allclose(actual[0].detach(), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("kwargs", "input_shape", "output_shape"),
    [
        (dict(output_size=24), (2, 3, 96, 96), (2, 3, 24, 24)),
        (dict(output_size=(24, 40)), (2, 3, 50, 31), (2, 3, 24, 40)),
        (dict(scale_factor=0.5), (2, 3, 97, 64), (2, 3, 48, 32)),
        (dict(scale_factor=1.7, num_layers=3), (1, 1, 10, 31), (1, 1, 17, 52)),
        (dict(output_size=8, average_pool=True), (2, 7, 33, 47), (2, 7, 8, 8)),
        (dict(output_size=8, mean=MEAN, std=STD), (2, 3, 1, 9), (2, 3, 8, 8)),
    ],
)
def test_shapes_and_gradients(kwargs, input_shape, output_shape):
    torch.manual_seed(0)
    resizer = MULLERResizer(**kwargs)  # untrained, and yet every weight learns
    x = torch.rand(input_shape, requires_grad=True)
    y = resizer(x)
    assert y.shape == output_shape
    assert y.is_contiguous()
    (y * torch.randn(output_shape)).sum().backward()
    for parameter in (*resizer.parameters(), x):
        assert parameter.grad.isfinite().all()
    assert (resizer.weight.grad != 0).all()
    assert (resizer.bias.grad != 0).all()
    assert x.grad.abs().max() > 0


@pytest.mark.parametrize(
    "kwargs", [{}, dict(mean=(120, 110), std=(60, 50)), dict(average_pool=True)]
)
def test_gradcheck(kwargs):
    resizer = MULLERResizer((2, 3), weights=(0.9, -0.1, -1.3, 0.2), **kwargs).double()
    x = image(1, 2, 5, 6).requires_grad_()

    def function(x, weight, bias):
        parameters = dict(weight=weight, bias=bias)
        return torch.func.functional_call(resizer, parameters, x)

    assert torch.autograd.gradcheck(function, (x, *resizer.parameters()))


def test_parameters():
    resizer = MULLERResizer(24, weights=PUBLISHED)
    assert sum(p.numel() for p in resizer.parameters()) == 4
    assert list(resizer.state_dict()) == ["weight", "bias"]
    assert resizer.weight.tolist() == pytest.approx([1.892, -11.295])
    assert resizer.bias.tolist() == pytest.approx([-0.014, 0.003])
    assert all((p == 0).all() for p in MULLERResizer(24).parameters())
    three = MULLERResizer(24, num_layers=3)
    assert sum(p.numel() for p in three.parameters()) == 6


def test_init_weights_keeps_them():
    resizer = MULLERResizer(24, weights=PUBLISHED)
    expected = deepcopy(resizer.state_dict())
    resizer.init_weights()
    torch.testing.assert_close(resizer.state_dict(), expected, rtol=0, atol=0)


def test_checkpoint(tmp_path):
    """Also through ``init_cfg``; normalization is of the config, not of weights."""
    trained = MULLERResizer(8, weights=PUBLISHED, mean=MEAN, std=STD)
    torch.save({"state_dict": trained.state_dict()}, tmp_path / "resizer.pth")
    init_cfg = dict(type="Pretrained", checkpoint=str(tmp_path / "resizer.pth"))
    pretrained = MULLERResizer(8, mean=MEAN, std=STD, init_cfg=init_cfg)
    pretrained.init_weights()
    loaded = MULLERResizer(8, mean=MEAN, std=STD)
    loaded.load_state_dict(trained.state_dict())
    x = torch.randn(2, 3, 19, 9)
    for resizer in (pretrained, loaded):
        torch.testing.assert_close(resizer(x), trained(x), rtol=0, atol=0)


def test_macs():
    """Two separable 5x5 blurs: 20 for each channel of each input pixel."""
    assert count_macs(MULLERResizer(24), (96, 64)) == 20 * 3 * 96 * 64
    assert count_macs(MULLERResizer(24, num_layers=1), (96, 64)) == 10 * 3 * 96 * 64
    meta = MULLERResizer(24, mean=MEAN, std=STD).to("meta")
    (cost,) = count_costs(meta, (96, 64))
    assert (cost.parameters, cost.macs) == (4, 20 * 3 * 96 * 64)


@pytest.mark.parametrize("normalization", [{}, dict(mean=MEAN, std=STD)])
def test_mixed_precision(normalization):
    """Autocast leaves the blur in float32, since residuals are small differences."""
    resizer = MULLERResizer(24, weights=PUBLISHED, **normalization)
    x = torch.rand(2, 3, 60, 50)
    with torch.autocast("cpu", torch.bfloat16):
        y = resizer(x)
    torch.testing.assert_close(y, resizer(x), rtol=0, atol=0)
    y.sum().backward()
    assert all(p.grad.isfinite().all() for p in resizer.parameters())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(dtype):
    """Only input, output and weights are rounded."""
    x = image(1, 3, 40, 50).to(dtype)
    resizer = MULLERResizer(24, weights=PUBLISHED)
    expected = resizer(x.float())
    half = resizer.to(dtype)(x)
    assert half.dtype == dtype
    plain = F.interpolate(x, (24, 24), mode="bilinear")
    untrained = MULLERResizer(24).to(dtype)(x)
    torch.testing.assert_close(untrained, plain, rtol=0, atol=0)
    step = torch.finfo(dtype).eps
    torch.testing.assert_close(half.float(), expected, rtol=0, atol=3 * step)


@pytest.mark.parametrize(
    "kwargs", [{}, dict(mean=MEAN, std=STD), dict(average_pool=True)]
)
def test_trace(kwargs):
    resizer = MULLERResizer(12, weights=PUBLISHED, **kwargs)
    traced = torch.jit.trace(resizer, torch.rand(2, 3, 40, 50))
    # With a pooling window of its own, another size needs a trace of its own.
    size = (40, 50) if kwargs.get("average_pool") else (31, 64)
    x = torch.rand(5, 3, *size)
    torch.testing.assert_close(traced(x), resizer(x), rtol=0, atol=0)


@pytest.mark.gpu
def test_gpu_equals_cpu():
    x = torch.rand(2, 3, 60, 50)
    for kwargs in ({}, dict(mean=MEAN, std=STD), dict(average_pool=True)):
        resizer = MULLERResizer(24, weights=PUBLISHED, **kwargs)
        expected = resizer(x)
        with torch.autocast("cuda", torch.bfloat16):
            actual = resizer.cuda()(x.cuda())
        torch.testing.assert_close(actual.cpu(), expected, rtol=0, atol=1e-2)
        actual.sum().backward()


def test_builds_from_config():
    resizer = MODELS.build(dict(type="mmresizer.MULLERResizer", output_size=24))
    assert resizer(torch.rand(1, 3, 50, 60)).shape == (1, 3, 24, 24)
    assert "num_layers=2, kernel_size=5, average_pool=False" in repr(resizer)


def test_in_a_classifier():
    """Its gradients arrive, and the model's initialization leaves it alone."""
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type="mmresizer.ResizerClassifier",
            resizer=dict(
                type="mmresizer.MULLERResizer",
                output_size=24,
                mean=list(MEAN),
                std=list(STD),
                weights=list(PUBLISHED),
            ),
            backbone=dict(
                type="mmpretrain.ResNet", depth=18, base_channels=8, out_indices=(3,)
            ),
            neck=dict(type="mmpretrain.GlobalAveragePooling"),
            head=dict(type="mmpretrain.LinearClsHead", num_classes=5, in_channels=64),
        )
    )
    model.init_weights()
    assert model.resizer.weight.tolist() == pytest.approx([1.892, -11.295])
    y = model(torch.randn(2, 3, 80, 60))
    assert y.shape == (2, 5)
    y.square().sum().backward()
    assert all((p.grad != 0).all() for p in model.resizer.parameters())


@pytest.mark.parametrize("value", [0, -1, 2.0, "2", True, None])
@pytest.mark.parametrize("name", ["num_layers", "kernel_size"])
def test_refuses_counts(name, value):
    with pytest.raises(InputError, match=f"{name} must be an int of [13] or more") as e:
        MULLERResizer(8, **{name: value})
    assert repr(value) in str(e.value)


@pytest.mark.parametrize("value", [0, -1.0, "1", True, None, math.inf, math.nan])
def test_refuses_sigma(value):
    with pytest.raises(InputError, match="sigma must be a positive number") as e:
        MULLERResizer(8, sigma=value)
    assert repr(value) in str(e.value)


@pytest.mark.parametrize(
    ("kwargs", "sentence"),
    [
        (dict(kernel_size=4), "kernel_size must be odd, but got 4"),
        (dict(kernel_size=1), "kernel_size must be an int of 3 or more, got 1"),
        (dict(average_pool=2), "average_pool must be True or False, but got 2"),
        (
            dict(weights=[1.0, 2.0]),
            "weights must be 4 numbers .* num_layers=2.*, but got .1.0, 2.0",
        ),
        (dict(weights=PUBLISHED, num_layers=3), "weights must be 6 numbers"),
        (dict(weights=[1, 2, 3, "4"]), "weights must be 4 numbers .* '4'"),
        (dict(weights=[1, 2, 3, math.nan]), "weights must be 4 numbers .* nan"),
        (dict(weights=1.0), "weights must be 4 numbers .* but got 1.0"),
        (dict(weights="1234"), "weights must be 4 numbers .* but got '1234'"),
        (dict(mean=MEAN), "given together, but got mean=.* and std=None"),
        (dict(std=STD), "given together, but got mean=None and std="),
        (dict(mean=120, std=STD), "mean must be a list of numbers, but got 120"),
        (dict(mean=[], std=[]), "mean must be a list of numbers, but got "),
        (dict(mean=MEAN, std=[1, 0, 2]), "std must be a list of positive numbers"),
        (dict(mean=MEAN, std=[1, 2]), "as many numbers, but got 3 and 2"),
        (dict(interpolation="lanczos"), "interpolation must be one of .* 'lanczos'"),
    ],
)
def test_refuses_arguments(kwargs, sentence):
    with pytest.raises(InputError, match=sentence):
        MULLERResizer(8, **kwargs)


@pytest.mark.parametrize("average_pool", [False, True])
def test_refuses_images(average_pool):
    resizer = MULLERResizer(8, mean=MEAN, std=STD, average_pool=average_pool)
    with pytest.raises(InputError, match="of 3 channels, but got images of 1 channels"):
        resizer(torch.rand(2, 1, 20, 20))
    with pytest.raises(InputError, match=r"\(N, C, H, W\).*\(3, 40, 40\)"):
        resizer(torch.rand(3, 40, 40))
    with pytest.raises(InputError, match=r"floating point, but got .*torch\.uint8"):
        resizer(torch.zeros(1, 3, 40, 40, dtype=torch.uint8))
    halving = MULLERResizer(scale_factor=0.5, average_pool=average_pool)
    with pytest.raises(InputError, match=r"1x9 pixels .* too small"):
        halving(torch.rand(1, 3, 1, 9))
