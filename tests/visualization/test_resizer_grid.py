import os
from copy import deepcopy

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from mmresizer.registry import MODELS
from mmresizer.utils import InputError
from mmresizer.visualization import draw_resizer, draw_resizers

MODEL = dict(
    type="mmresizer.ResizerClassifier",
    resizer=dict(type="mmresizer.LearnedResizer", output_size=20, zero_init=True),
    backbone=dict(type="mmpretrain.ResNet", depth=18, base_channels=8),
    data_preprocessor=dict(
        mean=[100.0, 120.0, 140.0], std=[50.0, 60.0, 70.0], to_rgb=True
    ),
)


@pytest.fixture
def shown(monkeypatch):
    """The arrays that land on the axes, in drawing order."""
    arrays = []

    def subplots(self, *args, **kwargs):
        axes = original(self, *args, **kwargs)
        for axis in axes.flat:
            imshow = axis.imshow

            def record(array, *args, imshow=imshow, **kwargs):
                arrays.append(np.array(array))
                return imshow(array, *args, **kwargs)

            axis.imshow = record
        return axes

    original = Figure.subplots
    monkeypatch.setattr(Figure, "subplots", subplots)
    return arrays


def build(**changes):
    torch.manual_seed(0)
    return MODELS.build({**deepcopy(MODEL), **changes})


def test_denormalizes(shown):
    """A flat BGR image comes out in its own colours, as RGB, on both sides."""
    bgr = torch.tensor([10, 100, 200], dtype=torch.uint8)
    image = bgr.view(3, 1, 1).expand(3, 60, 40)
    picture = draw_resizer(build(), [image])
    assert picture.ndim == 3
    assert picture.shape[2] == 3
    assert picture.dtype == np.uint8
    source, interpolated, learned, delta, *_ = shown
    assert source.shape == (60, 40, 3)
    assert interpolated.shape == learned.shape == (20, 20, 3)
    for panel in (source, interpolated, learned):
        assert np.abs(panel.reshape(-1, 3).astype(int) - [200, 100, 10]).max() <= 1
    assert np.abs(delta).max() == 0


def test_difference_in_grey_levels(shown):
    """A bias of the last convolution, times the deviations, is the difference."""
    model = build()
    torch.nn.init.constant_(model.resizer.out.bias, 0.5)
    draw_resizer(model, [torch.full((3, 60, 40), 128)])
    np.testing.assert_allclose(shown[3], 0.5 * (50 + 60 + 70) / 3, rtol=1e-4)


def test_spectrum_peaks_at_the_frequency(shown):
    """A wave of 4 pixels a period in an image that keeps its size."""
    model = build(resizer=dict(type="mmresizer.InterpolationResizer", scale_factor=1))
    wave = 128 + 100 * torch.sin(torch.pi / 2 * torch.arange(64.0))
    draw_resizer(model, [wave.view(1, 1, 64).expand(3, 64, 64)])
    row, column = np.unravel_index(shown[4].argmax(), shown[4].shape)
    assert row == 32
    assert abs(column - 32) == 16


def test_grid_leaves_the_model_alone():
    model = build().train()
    before = deepcopy(model.state_dict())
    images = torch.randint(0, 256, (3, 3, 50, 50))
    picture = draw_resizer(model, images, ["a", "b", "c"])
    assert picture.shape[0] > 2 * draw_resizer(model, images[:1]).shape[0]
    assert model.training
    assert model.resizer.training
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)


@pytest.mark.parametrize("channels", [1, 5])
def test_other_channels(shown, channels):
    model = build(
        resizer=dict(
            type="mmresizer.LearnedResizer", output_size=20, in_channels=channels
        ),
        data_preprocessor=dict(mean=[100.0] * channels, std=[50.0] * channels),
    )
    draw_resizer(model, torch.randint(0, 256, (1, channels, 30, 30)))
    assert shown[0].shape == (30, 30, 1 if channels == 1 else 3)


def test_refuses_a_model_without_resizer():
    cfg = deepcopy(MODEL)
    cfg.pop("resizer")
    model = MODELS.build({**cfg, "type": "mmpretrain.ImageClassifier"})
    with pytest.raises(InputError, match=r"must have one resizer.* has 0"):
        draw_resizer(model, torch.zeros(1, 3, 30, 30))


@pytest.fixture
def grids(monkeypatch):
    """The axes of each picture, an array of rows and columns."""
    grids = []
    original = Figure.subplots

    def subplots(self, *args, **kwargs):
        grids.append(original(self, *args, **kwargs))
        return grids[-1]

    monkeypatch.setattr(Figure, "subplots", subplots)
    return grids


def build_model(size, kind="Interpolation"):
    torch.manual_seed(0)
    # Zero: the learned resizer interpolates, too, until it is changed.
    learned = dict(zero_init=True) if kind == "Learned" else {}
    return MODELS.build(
        dict(
            type="mmresizer.ResizerClassifier",
            resizer=dict(type=f"mmresizer.{kind}Resizer", output_size=size, **learned),
            backbone=dict(type="mmpretrain.ResNet", depth=18, base_channels=8),
            data_preprocessor=dict(
                mean=[100.0, 120.0, 140.0], std=[50.0, 60.0, 70.0], to_rgb=True
            ),
        )
    )


def test_grid_of_resizers(grids):
    learned = build_model(20, "Learned").train()
    torch.nn.init.constant_(learned.resizer.out.bias, 0.5)
    models = {"small": build_model(10), "learned": learned, "large": build_model(20)}
    images = [torch.randint(0, 200, (3, 60, 40)), torch.randint(0, 200, (3, 30, 30))]
    picture = draw_resizers(models, images, ["a", "b"])
    assert picture.shape == (620, 1040, 3)
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(draw_resizers(models, images, ["a", "b"]), picture)
    assert grids[0].shape == (2, 4)
    for axes, image in zip(grids[0], images, strict=True):
        shown = [axis.images[0].get_array().astype(int) for axis in axes]
        sizes = [tuple(image.shape[1:]), (10, 10), (20, 20), (20, 20)]
        assert [picture.shape[:2] for picture in shown] == sizes
        rgb = image.flip(0).permute(1, 2, 0).numpy()
        assert np.abs(shown[0] - rgb).max() <= 1
        # The bias, times the deviations of red, green and blue.
        assert np.abs(shown[2] - shown[3] - [25, 30, 35]).max() <= 1
    assert learned.training


@pytest.mark.parametrize("draw", [draw_resizer, draw_resizers])
def test_names_are_no_formulas(draw):
    """Matplotlib without formulas draws the same; bytes that are no UTF-8 pass."""
    model = build_model(10)
    models = model if draw is draw_resizer else {"$\\nothing$": model}
    images = [torch.zeros(3, 20, 20)]
    picture = draw(models, images, ["$\\frac$ $1 and $2"])
    with matplotlib.rc_context({"text.parse_math": False}):
        expected = draw(models, images, ["$\\frac$ $1 and $2"])
    np.testing.assert_array_equal(picture, expected)
    unknown = draw(models, images, [os.fsdecode(b"\xff")])
    np.testing.assert_array_equal(unknown, draw(models, images, ["?"]))


def test_pictures_of_a_row_have_one_size_on_paper(grids):
    """A distorted output is stretched back; names do not run into each other."""
    names = ["a", "a much longer name, in which every change is told"]
    models = dict(zip(names, map(build_model, (10, 20)), strict=True))
    draw_resizers(models, [torch.zeros(3, 60, 30)], ["row"])
    axes = grids[0][0]
    boxes = [axis.get_window_extent() for axis in axes]
    for axis, box in zip(axes, boxes, strict=True):
        assert axis.images[0].get_interpolation() == "nearest"
        assert box.size == pytest.approx(boxes[0].size)
        assert box.height == pytest.approx(2 * box.width)
        title = axis.title.get_window_extent()
        assert title.width < boxes[1].x0 - boxes[0].x0
    titles = [axis.get_title().replace("\n", " ") for axis in axes]
    assert titles == ["input", *names]
    assert [axis.get_xlabel() for axis in axes] == ["60x30 px", "10x10 px", "20x20 px"]
    assert axes[0].get_ylabel() == "row"
