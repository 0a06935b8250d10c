"""Exported programs of all resizers, at other sizes than those of the export."""

import onnxruntime
import pytest
import torch
from interpolations import INTERPOLATIONS

from mmresizer.models import InterpolationResizer, LearnedResizer, MULLERResizer

# Landscape and portrait, odd, flat and thin, small and large.
SIZES = [(48, 64), (64, 48), (97, 33), (4, 1), (50, 1), (5, 7), (300, 401)]
TINY = [(1, 1), (1, 50), (2, 3)]
DYNAMIC = torch.export.Dim.DYNAMIC
SHAPES = {0: DYNAMIC, 2: DYNAMIC, 3: DYNAMIC}


def build(resizer, **kwargs):
    torch.manual_seed(0)
    resizer = resizer(**kwargs).eval()
    if isinstance(resizer, MULLERResizer):
        torch.nn.init.constant_(resizer.weight, 1.5)
    return resizer


@pytest.mark.parametrize("size", [dict(output_size=24), dict(scale_factor=(0.5, 2.5))])
@pytest.mark.parametrize(("interpolation", "antialias"), INTERPOLATIONS)
@pytest.mark.parametrize(
    "resizer", [InterpolationResizer, LearnedResizer, MULLERResizer]
)
def test_exports_for_all_sizes(resizer, interpolation, antialias, size):
    model = build(resizer, interpolation=interpolation, antialias=antialias, **size)
    x = torch.rand(2, 3, 48, 64)
    program = torch.export.export(model, (x,), dynamic_shapes=(SHAPES,)).module()
    # By a factor of 0.5, an image of one row would have no output.
    for input_size in SIZES + (TINY if "output_size" in size else []):
        for batch in (1, 3):
            x = torch.rand(batch, 3, *input_size)
            torch.testing.assert_close(program(x), model(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("strict", [False, True])
def test_exports_with_named_sizes(strict):
    """In both modes of the exporter, with a strided stem."""
    model = build(LearnedResizer, output_size=24, stem_stride=2)
    n, h, w = (
        torch.export.Dim(name, min=least)
        for name, least in (("n", 1), ("h", 4), ("w", 4))
    )
    x = torch.rand(2, 3, 48, 64)
    program = torch.export.export(
        model, (x,), dynamic_shapes=({0: n, 2: h, 3: w},), strict=strict
    ).module()
    for input_size in [(48, 64), (64, 48), (97, 33), (4, 9)]:
        x = torch.rand(1, 3, *input_size)
        torch.testing.assert_close(program(x), model(x), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("size", [dict(output_size=24), dict(scale_factor=0.5)])
@pytest.mark.parametrize(("interpolation", "antialias"), INTERPOLATIONS)
def test_onnx_equals_torch(interpolation, antialias, size, tmp_path):
    kwargs = dict(interpolation=interpolation, antialias=antialias, **size)
    model = build(LearnedResizer, **kwargs)
    path = tmp_path / "resizer.onnx"
    x = torch.rand(2, 3, 48, 64)
    torch.onnx.export(model, (x,), path, dynamo=True, dynamic_shapes=(SHAPES,))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for input_size in [(48, 64), (64, 48), (97, 33), (5, 7), (300, 401)]:
        x = torch.rand(1, 3, *input_size)
        (actual,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        with torch.no_grad():
            expected = model(x)
        torch.testing.assert_close(
            torch.from_numpy(actual), expected, rtol=0, atol=1e-4
        )


def test_compiled_areas_are_torch_s_own():
    """Theirs are matrix products, which autocast would make coarse."""
    resizer = InterpolationResizer(8, interpolation="area")
    x = 255 * torch.rand(1, 3, 24, 32)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(
            torch.compile(resizer, backend="eager")(x), resizer(x)
        )
