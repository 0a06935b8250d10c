from copy import deepcopy

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mmresizer.models import LearnedResizer
from mmresizer.models.resizers.base_resizer import INTERPOLATION_MODES
from mmresizer.utils import InputError


def conv(x, weight, bias=None):
    """Convolution of a (C, H, W) map with zero padding, Keras's `padding="same"`."""
    out_channels, _, kernel, _ = weight.shape
    height, width = x.shape[1:]
    x = np.pad(x, ((0, 0), (kernel // 2,) * 2, (kernel // 2,) * 2))
    y = np.zeros((out_channels, height, width))
    for i in range(kernel):
        for j in range(kernel):
            window = x[:, i : i + height, j : j + width]
            y += np.tensordot(weight[:, :, i, j], window, 1)
    return y if bias is None else y + bias[:, None, None]


def leaky_relu(x):
    return np.where(x < 0, 0.2 * x, x)


def batch_norm(x, norm, eps):
    mean, var, gamma, beta = (
        v[:, None, None]
        for v in (
            norm["running_mean"],
            norm["running_var"],
            norm["weight"],
            norm["bias"],
        )
    )
    return gamma * (x - mean) / np.sqrt(var + eps) + beta


def bilinear(x, size):
    """`tf.image.resize(x, size, antialias=False)`: half-pixel centres, clamped."""

    def weights(source, target):
        matrix = np.zeros((target, source))
        for k in range(target):
            position = min(max((k + 0.5) * source / target - 0.5, 0), source - 1)
            low = int(position)
            high = min(low + 1, source - 1)
            matrix[k, low] += 1 - (position - low)
            matrix[k, high] += position - low
        return matrix

    rows, columns = (weights(*n) for n in zip(x.shape[1:], size, strict=True))
    return rows @ x @ columns.T


def oracle(x, state, size, num_blocks, eps):
    """Figure 3 of the paper, as in Keras's functional model, in float64."""

    def norm(name):
        return {k.rsplit(".", 1)[1]: v for k, v in state.items() if k.startswith(name)}

    s = state
    y = leaky_relu(conv(x, s["stem.conv1.weight"], s["stem.conv1.bias"]))
    y = leaky_relu(conv(y, s["stem.conv2.weight"], s["stem.conv2.bias"]))
    y = bottleneck = bilinear(batch_norm(y, norm("stem.norm."), eps), size)
    for i in range(num_blocks):
        z = conv(y, s[f"blocks.{i}.layer1.conv.weight"])
        z = leaky_relu(batch_norm(z, norm(f"blocks.{i}.layer1.norm."), eps))
        z = conv(z, s[f"blocks.{i}.layer2.conv.weight"])
        y = y + batch_norm(z, norm(f"blocks.{i}.layer2.norm."), eps)
    y = batch_norm(conv(y, s["fuse.conv.weight"]), norm("fuse.norm."), eps) + bottleneck
    return bilinear(x, size) + conv(y, s["out.weight"], s["out.bias"])


def randomize_norms(resizer):
    for m in resizer.modules():
        if isinstance(m, nn.BatchNorm2d):
            nn.init.normal_(m.running_mean, std=0.2)
            nn.init.uniform_(m.running_var, 0.5, 1.5)
            nn.init.uniform_(m.weight, 0.5, 1.5)
            nn.init.normal_(m.bias, std=0.2)


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-10)]
)
@pytest.mark.parametrize(
    ("input_size", "output_size", "num_blocks", "eps"),
    [
        ((300, 300), (150, 150), 1, 1e-3),
        ((480, 640), (192, 256), 2, 1e-5),
        ((97, 131), (224, 224), 1, 1e-3),
    ],
)
def test_equals_the_figure(input_size, output_size, num_blocks, eps, dtype, tolerance):
    torch.manual_seed(0)
    resizer = LearnedResizer(
        output_size, num_blocks=num_blocks, norm_cfg=dict(type="BN", eps=eps)
    )
    resizer.init_weights()
    if dtype == "float64":  # larger features than float32 keeps to 1e-5
        randomize_norms(resizer)
    resizer.eval().to(getattr(torch, dtype))
    x = torch.rand(1, 3, *input_size, dtype=getattr(torch, dtype))
    if dtype == "float32":
        # As smooth as a photograph: float32 rounds the positions that interpolation
        # reads, which white noise multiplies by its jumps from pixel to pixel.
        x = F.interpolate(x[..., ::8, ::8], input_size, mode="bicubic")
    with torch.no_grad():
        actual, plain = resizer(x), resizer.forward_plain(x)
    assert actual.shape == plain.shape == (1, 3, *output_size)
    state = {k: v.double().numpy() for k, v in resizer.state_dict().items()}
    image = x[0].double().numpy()
    expected = oracle(image, state, output_size, num_blocks, eps)
    assert np.abs(actual[0].numpy() - expected).max() < tolerance
    assert np.abs(plain[0].numpy() - expected).max() < tolerance
    # The CNN must contribute: an implementation that returns plain interpolation fails.
    assert np.abs(expected - bilinear(image, output_size)).max() > 0.1


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "kwargs",
    [
        dict(output_size=(12, 20)),
        dict(scale_factor=0.4, num_blocks=2, with_cp=True),
        dict(scale_factor=(1.7, 0.9), num_blocks=0, norm_cfg=None),
        dict(output_size=16, stem_stride=3, interpolation="bicubic", antialias=True),
        dict(output_size=9, interpolation="nearest"),
        dict(output_size=9, interpolation="area"),
    ],
)
def test_forward_plain_calls_the_layers(kwargs, training):
    """Figure 3 again, from torch's functions and the resizer's layers."""
    torch.manual_seed(0)
    resizer = LearnedResizer(**kwargs).double().train(training)
    randomize_norms(resizer)
    other = deepcopy(resizer)
    x = torch.randn(2, 3, 31, 26, dtype=torch.float64)

    def resize(y):
        mode = INTERPOLATION_MODES[other.interpolation]
        size = other.get_output_size(x.shape[2:])
        return F.interpolate(y, size, mode=mode, antialias=other.antialias)

    stem = other.stem
    y = F.leaky_relu(stem.conv2(F.leaky_relu(stem.conv1(x), 0.2)), 0.2)
    y = z = resize(stem.norm(y))
    for block in other.blocks:
        z = z + block.layer2(F.leaky_relu(block.layer1(z), 0.2))
    expected = resize(x) + other.out(y + other.fuse(z))
    assert torch.equal(resizer.forward_plain(x), expected)


@pytest.mark.parametrize(
    ("mid_channels", "num_blocks", "published"),
    [
        (16, 1, 11.87), (16, 2, 16.48), (16, 3, 21.08), (16, 4, 25.69),
        (32, 1, 38.08), (32, 2, 56.51), (32, 3, 74.94), (32, 4, 93.37),
    ],
)  # fmt: skip
def test_parameters_of_table_2(mid_channels, num_blocks, published):
    """The paper counts convolution weights, in thousands, cut off after 2 decimals."""
    resizer = LearnedResizer(224, mid_channels=mid_channels, num_blocks=num_blocks)
    count = sum(p.numel() for p in resizer.parameters() if p.ndim == 4)
    assert count // 10 / 100 == published


def test_parameters_of_default():
    """12,163 with the BN statistics is what Keras's summary grows by."""
    resizer = LearnedResizer(224)
    assert sum(p.numel() for p in resizer.parameters()) == 12_035
    statistics = [v for k, v in resizer.named_buffers() if "running" in k]
    assert 12_035 + sum(v.numel() for v in statistics) == 12_163


@pytest.mark.parametrize(
    ("size", "gflops"),
    [(224, 1.19), (256, 1.27), (320, 1.46), (368, 1.64), (448, 1.98)],
)
def test_flops(size, gflops):
    resizer = LearnedResizer(224).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        resizer(torch.zeros(1, 3, size, size))
    assert counter.get_total_flops() / 1e9 == pytest.approx(gflops, rel=0.01)


@pytest.mark.parametrize(
    ("kwargs", "input_shape", "output_shape"),
    [
        (dict(output_size=24), (2, 3, 96, 96), (2, 3, 24, 24)),
        (dict(output_size=(24, 40)), (2, 3, 50, 31), (2, 3, 24, 40)),
        (dict(scale_factor=0.5), (2, 3, 97, 64), (2, 3, 48, 32)),
        (dict(scale_factor=1.7), (1, 3, 10, 31), (1, 3, 17, 52)),
        (dict(output_size=16, in_channels=1), (2, 1, 32, 32), (2, 1, 16, 16)),
        (dict(output_size=16, in_channels=7), (2, 7, 32, 48), (2, 7, 16, 16)),
        (dict(output_size=8, mid_channels=4, num_blocks=3), (2, 3, 9, 9), (2, 3, 8, 8)),
        (dict(output_size=8, num_blocks=0), (2, 3, 9, 9), (2, 3, 8, 8)),
        (dict(output_size=8, norm_cfg=None), (2, 3, 9, 9), (2, 3, 8, 8)),
        (
            dict(output_size=8, norm_cfg=dict(type="GN", num_groups=4)),
            (2, 3, 9, 9),
            (2, 3, 8, 8),
        ),
        (dict(output_size=8, act_cfg=dict(type="GELU")), (2, 3, 9, 9), (2, 3, 8, 8)),
        (
            dict(output_size=8, interpolation="bicubic", antialias=True),
            (2, 3, 19, 19),
            (2, 3, 8, 8),
        ),
        (dict(output_size=8, interpolation="nearest"), (2, 3, 19, 9), (2, 3, 8, 8)),
        (dict(output_size=8, interpolation="area"), (2, 3, 19, 9), (2, 3, 8, 8)),
    ],
)
def test_shapes_and_gradients(kwargs, input_shape, output_shape):
    torch.manual_seed(0)
    resizer = LearnedResizer(**kwargs)
    resizer.init_weights()
    y = resizer(torch.rand(input_shape))
    assert y.shape == output_shape
    (y * torch.randn(output_shape)).sum().backward()
    for name, parameter in resizer.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_biases_only_where_no_norm_follows():
    names = {k for k, _ in LearnedResizer(8).named_parameters() if k.endswith("bias")}
    convolutions = {k for k in names if "norm" not in k}
    assert convolutions == {"stem.conv1.bias", "stem.conv2.bias", "out.bias"}
    names = {k for k, _ in LearnedResizer(8, norm_cfg=None).named_parameters()}
    assert {"fuse.conv.bias", "blocks.0.layer1.conv.bias"} < names


def test_zero_init_is_interpolation():
    x = torch.rand(2, 3, 40, 30)
    expected = F.interpolate(x, (12, 20), mode="bilinear")
    resizer = LearnedResizer((12, 20), zero_init=True)
    torch.testing.assert_close(resizer(x), expected, rtol=0, atol=0)
    resizer.init_weights()
    torch.testing.assert_close(resizer(x), expected, rtol=0, atol=0)
    assert (LearnedResizer((12, 20))(x) - expected).abs().max() > 0.01


def test_zero_init_keeps_pretrained_weights(tmp_path):
    trained = LearnedResizer(8)
    torch.save({"state_dict": trained.state_dict()}, tmp_path / "resizer.pth")
    init_cfg = dict(type="Pretrained", checkpoint=str(tmp_path / "resizer.pth"))
    resizer = LearnedResizer(8, zero_init=True, init_cfg=init_cfg)
    resizer.init_weights()
    x = torch.rand(2, 3, 9, 9)
    torch.testing.assert_close(resizer.eval()(x), trained.eval()(x), rtol=0, atol=0)


@pytest.mark.parametrize("training", [True, False])
def test_residual_bound(training):
    """b tanh(r / b) of what the module without a bound adds to the interpolation."""
    torch.manual_seed(0)
    x = 3 * torch.randn(2, 3, 40, 40)
    plain = LearnedResizer(output_size=20).train(training)
    bounded = LearnedResizer(output_size=20, residual_bound=0.25).train(training)
    bounded.load_state_dict(plain.state_dict())
    with torch.set_grad_enabled(training):
        image = plain.interpolate(x)
        residual = plain(x) - image
        assert residual.abs().max() > 0.5
        expected = image + 0.25 * torch.tanh(residual / 0.25)
        torch.testing.assert_close(bounded(x), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("bound", [0, -1.0])
def test_refuses_bounds(bound):
    with pytest.raises(InputError, match="residual_bound must be a positive number"):
        LearnedResizer(output_size=20, residual_bound=bound)


def test_init_weights_is_glorot_uniform():
    """Keras's default: uniform within sqrt(6 / (fan_in + fan_out)), zero biases."""
    torch.manual_seed(0)
    resizer = LearnedResizer(8)
    resizer.init_weights()
    for m in resizer.modules():
        if isinstance(m, nn.Conv2d):
            area = m.kernel_size[0] * m.kernel_size[1]
            bound = (6 / ((m.in_channels + m.out_channels) * area)) ** 0.5
            assert 0.9 * bound < m.weight.abs().max() <= bound
            assert m.bias is None or (m.bias == 0).all()


@pytest.mark.parametrize(
    "name", ["in_channels", "mid_channels", "num_blocks", "stem_stride"]
)
@pytest.mark.parametrize("value", [-1, 1.0, "3", True, None])
def test_refuses_counts(name, value):
    with pytest.raises(InputError, match=f"{name} must be an int") as e:
        LearnedResizer(8, **{name: value})
    assert repr(value) in str(e.value)


def test_refuses_channels():
    with pytest.raises(InputError, match=r"floating point, but got .*torch\.uint8"):
        LearnedResizer(24)(torch.zeros(1, 3, 40, 40, dtype=torch.uint8))
    with pytest.raises(InputError, match="in_channels=3, but got images of 1 channels"):
        LearnedResizer(8)(torch.rand(2, 1, 20, 20))


def test_refuses_images_smaller_than_the_stride():
    with pytest.raises(InputError, match=r"2x9 pixels .* small for stem_stride=3"):
        LearnedResizer(8, stem_stride=3)(torch.rand(2, 3, 2, 9))


def test_mixed_precision():
    """Under autocast: the float32 result, to bfloat16's precision."""
    torch.manual_seed(0)
    resizer = LearnedResizer(24, with_cp=True)
    resizer.init_weights()
    x = torch.rand(2, 3, 60, 50)
    with torch.autocast("cpu", torch.bfloat16):
        y = resizer(x)
    assert (y - resizer(x)).abs().max() < 0.1
    assert y.dtype == torch.float32  # the image skip is not rounded
    y.sum().backward()
    for name, parameter in resizer.named_parameters():
        assert parameter.grad.isfinite().all(), name
