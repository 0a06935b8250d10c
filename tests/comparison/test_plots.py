import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from PIL import Image

from mmresizer.comparison import plots

# Half of the 95 % interval over its standard error, from a table, by number of seeds.
T = {2: 12.706, 3: 4.303}
EPOCHS_PNG = "accuracy_over_epochs.png"
COSTS_PNG = "accuracy_against_gmac.png"
SWEEP_PNG = "resolution_sweep.png"


def frames(accuracies, gmac=None, sizes=None, planned=None):
    """Makes results and costs from {arm: a list of accuracies for each seed}."""
    results = [dict(arm="stage1", seed=0, epoch=9, top1=1.0)]
    costs = []
    for arm, seeds in accuracies.items():
        base, size = (sizes or {}).get(arm, (arm, 64))
        cost = (gmac or {}).get(arm, 1.0)
        square = f"{size}x{size}"
        costs.append(
            dict(arm=arm, base=base, input=square, input_size=size, gmac=cost)
            | dict(output="16x16", params=10, latency_ratio=float("nan"))
            | dict(planned_seeds=planned or max(map(len, accuracies.values())))
        )
        for seed, curve in enumerate(seeds):
            for epoch, top1 in enumerate(curve, 1):
                row = dict(arm=arm, seed=seed, epoch=epoch, top1=top1)
                results.append(row)
    return pd.DataFrame(results), pd.DataFrame(costs)


def draw(function, results, costs):
    axes = Figure().add_subplot()
    function(axes, results[results["arm"] != "stage1"], costs)
    return axes


def legend(axes):
    return axes.get_legend_handles_labels()[1]


def line(axes, label):
    return next(x for x in axes.lines if x.get_label() == label).get_xydata()


def bars(axes, label):
    """The (x, lower end, upper end) of error bars; NaN where there is none."""
    container = next(c for c in axes.containers if c.get_label() == label)
    points, _, (collection,) = container.lines
    ends = [
        (segment[0][0], *segment[:, 1]) if len(segment) else (np.nan,) * 3
        for segment in collection.get_segments()
    ]
    return points.get_xydata(), np.array(ends)


def interval(*values):
    mean = sum(values) / len(values)
    s = (sum((v - mean) ** 2 for v in values) / (len(values) - 1)) ** 0.5
    half = T[len(values)] * s / len(values) ** 0.5
    return mean - half, mean + half


def test_writes_only_png_files_and_the_same_ones_again(tmp_path):
    tables = frames({"a": [[10, 20], [20, 40], [30, 90]], "b": [[1, 2], [2, 3]]})
    before = [table.copy() for table in tables]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        paths = plots.plot_comparison(*tables, tmp_path / "a" / "b")
    assert paths == [tmp_path / "a/b" / name for name in (EPOCHS_PNG, COSTS_PNG)]
    assert sorted(paths) == sorted((tmp_path / "a/b").iterdir())
    for path in paths:
        with Image.open(path) as image:
            assert image.format == "PNG"
            assert image.size == (1200, 675)
            assert len(image.convert("RGB").getcolors(10**6)) > 10
    again = plots.plot_comparison(*tables, tmp_path)
    assert [p.read_bytes() for p in again] == [p.read_bytes() for p in paths]
    for table, copy in zip(tables, before, strict=True):
        pd.testing.assert_frame_equal(table, copy)


def test_opens_no_window(tmp_path):
    pyplot = sys.modules["matplotlib.pyplot"]  # of seaborn
    before = pyplot.get_fignums()
    plots.plot_comparison(*frames({"a": [[1], [2]]}), tmp_path)
    assert pyplot.get_fignums() == before


def test_epochs_show_mean_lowest_and_highest():
    tables = frames(
        {"a": [[10, 20], [20, 40], [33, 90]], "b": [[1, 2], [2, 4], [6, 6]]}
    )
    axes = draw(plots.draw_epochs, *tables)
    np.testing.assert_allclose(line(axes, "a"), [(1, 21), (2, 50)])
    np.testing.assert_allclose(line(axes, "b"), [(1, 3), (2, 4)])
    assert legend(axes) == ["a", "b"]
    bands = [c.get_paths()[0].vertices for c in axes.collections]
    assert {tuple(v) for v in bands[0]} == {(1, 10), (1, 33), (2, 20), (2, 90)}
    assert {tuple(v) for v in bands[1]} == {(1, 1), (1, 6), (2, 2), (2, 6)}
    thin = [x.get_ydata().tolist() for x in axes.lines if x.get_linewidth() == 0.5]
    assert sorted(thin) == [[1, 2], [2, 4], [6, 6], [10, 20], [20, 40], [33, 90]]
    assert "lowest to the highest seed" in axes.get_title()
    assert "(%)" in axes.get_ylabel()


def test_twelve_arms_look_different():
    tables = frames({f"arm {i}": [[i, i], [i, i + 1]] for i in range(12)})
    axes = draw(plots.draw_epochs, *tables)
    assert len(axes.lines) == 12  # no lines of single seeds
    looks = {(to_rgba(x.get_color()), x.get_linestyle()) for x in axes.lines}
    assert len(looks) == 12
    points = [c.lines[0] for c in draw(plots.draw_costs, *tables).containers]
    looks = {(to_rgba(x.get_color()), x.get_marker()) for x in points}
    assert len(looks) == 12


def test_many_arms_get_a_panel_each():
    accuracies = {f"arm {i}": [[i, 10 + i], [2 * i, 20 + i]] for i in range(11)}
    results, costs = frames(accuracies)
    figure = plots.draw_panels(results[results["arm"] != "stage1"], costs)
    assert [axes.get_title() for axes in figure.axes] == list(accuracies)
    for axes, curves in zip(figure.axes, accuracies.values(), strict=True):
        lines = [list(line.get_ydata()) for line in axes.lines]
        assert lines == [*accuracies["arm 0"], *curves]


@pytest.mark.parametrize("count", [4, 12])
def test_long_legend_fits_into_the_picture(tmp_path, monkeypatch, count):
    figures = []
    original = Figure.savefig

    def savefig(self, *args, **kwargs):
        figures.append(self)
        original(self, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", savefig)
    words = "name of several words that takes three lines in the legend, arm"
    arms = {f"{words} {i}": [[i, i], [i, i + 1]] for i in range(count)}
    plots.plot_comparison(*frames(arms), tmp_path)
    # Panels have no legend.
    figures = [figure for figure in figures if figure.legends]
    assert figures
    for figure in figures:
        figure.draw_without_rendering()  # in the resolution that is now set
        legend, axes = figure.legends[0].get_window_extent(), figure.axes[0]
        assert len(figure.legends[0].texts) == count
        assert legend.y0 > 0
        assert legend.y1 < figure.bbox.y1
        assert axes.get_window_extent().x1 < legend.x0
        assert axes.title.get_window_extent().x1 < legend.x0


def test_costs_show_t_intervals_of_the_last_epoch():
    tables = frames(
        {"a": [[99, 70], [99, 72], [99, 77]], "b": [[0, 60], [0, 61]]},
        gmac={"a": 0.5, "b": 2.0},
    )
    axes = draw(plots.draw_costs, *tables)
    points, ends = bars(axes, "a")
    np.testing.assert_allclose(points, [(0.5, 73)])
    np.testing.assert_allclose(ends, [(0.5, *interval(70, 72, 77))], rtol=1e-4)
    points, ends = bars(axes, "b (2 of 3 seeds)")
    np.testing.assert_allclose(points, [(2, 60.5)])
    np.testing.assert_allclose(ends, [(2, *interval(60, 61))], rtol=1e-4)
    assert "95 % interval" in axes.get_title()
    assert "GMAC" in axes.get_xlabel()


def test_arms_of_the_same_cost_do_not_hide_one_another():
    tables = frames(
        {name: [[50], [52]] for name in "abcd"}, gmac=dict(a=1, b=3, c=1, d=1.0001)
    )
    axes = draw(plots.draw_costs, *tables)
    axes.figure.draw_without_rendering()
    drawn = {}
    for name in "abcd":
        points = next(c for c in axes.containers if c.get_label() == name).lines[0]
        x, _ = points.get_transform().transform(points.get_xydata()[0])
        exact, _ = axes.transData.transform(points.get_xydata()[0])
        drawn[name] = (x - exact) * 72 / axes.figure.dpi
    assert drawn["b"] == pytest.approx(0)
    assert [drawn[name] for name in "acd"] == pytest.approx([-8, 0, 8])


def test_shifted_points_stay_inside(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(
        Figure, "savefig", lambda figure, *_, **__: figures.append(figure)
    )
    arms = {f"arm {i}": [[90, 92], [90, 99]] for i in range(15)}
    plots.plot_comparison(*frames(arms, gmac={"arm 0": 0.1}), tmp_path)
    figure = figures[1]
    figure.draw_without_rendering()
    (axes,) = figure.axes
    assert axes.get_ylim()[1] == 102  # the interval ends at 140
    box = axes.get_window_extent()
    for container in axes.containers:
        extent = container.lines[0].get_window_extent()
        assert box.x0 < extent.x0 < extent.x1 < box.x1


def test_failed_runs():
    """One seed ends early, one arm has one seed left, and one none."""
    tables = frames(
        {
            "a": [[10, 20], [20, 40], [90]],
            "b": [[30, 50]],
            "c": [],
            "d": [[1, 2], [1, 3], [1, 4]],
        }
    )
    notes = ["a (2 of 3 seeds)", "b (1 of 3 seeds)", "c (0 of 3 seeds)", "d"]
    axes = draw(plots.draw_epochs, *tables)
    assert legend(axes) == notes
    np.testing.assert_allclose(line(axes, notes[0]), [(1, 40), (2, 30)])
    assert len(line(axes, notes[2])) == 0
    axes = draw(plots.draw_costs, *tables)
    assert legend(axes) == notes
    points, ends = bars(axes, notes[0])
    np.testing.assert_allclose(points, [(1, 30)])
    np.testing.assert_allclose(ends, [(1, *interval(20, 40))], rtol=1e-4)
    points, ends = bars(axes, notes[1])
    np.testing.assert_allclose(points, [(1, 50)])
    assert np.isnan(ends[:, 1:]).all()
    assert np.isnan(bars(axes, notes[2])[0][:, 1]).all()


def test_seeds_that_have_not_begun():
    """Two of three seeds of the first arm have ended, and one of the second."""
    tables = frames({"a": [[10, 20], [20, 40]], "b": [[30, 50]]}, planned=3)
    for function in (plots.draw_epochs, plots.draw_costs):
        labels = legend(draw(function, *tables))
        assert labels == ["a (2 of 3 seeds)", "b (1 of 3 seeds)"]


def test_failed_runs_are_written_without_warnings(tmp_path):
    sizes = {"a": ("a", 32), "b": ("x", 32), "c": ("x", 64)}
    tables = frames({"a": [[10, 20], [20]], "b": [[30, 50]], "c": []}, sizes=sizes)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(plots.plot_comparison(*tables, tmp_path)) == 3


def test_nothing_to_plot(tmp_path):
    assert plots.plot_comparison(*frames({"a": [], "b": []}), tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_sweep(tmp_path):
    sizes = {
        "a 64 px": ("a", 64),
        "a 32 px": ("a", 32),
        "b 32 px": ("b", 32),
        "b 64 px": ("b", 64),
        "c": ("c", 64),
    }
    finals = [(60, 61, 65), (40, 41, 42), (50, 55, 57), (70, 70, 73), (1, 2, 3)]
    tables = frames(
        {
            arm: [[top1] for top1 in seeds]
            for arm, seeds in zip(sizes, finals, strict=True)
        },
        sizes=sizes,
    )
    axes = draw(plots.draw_sweep, *tables)
    assert legend(axes) == ["a", "b"]
    assert axes.get_xticks().tolist() == [32, 64]
    points, ends = bars(axes, "a")
    np.testing.assert_allclose(points, [(32, 41), (64, 62)])
    expected = [(32, *interval(40, 41, 42)), (64, *interval(60, 61, 65))]
    np.testing.assert_allclose(ends, expected, rtol=1e-4)
    points, _ = bars(axes, "b")
    np.testing.assert_allclose(points, [(32, 54), (64, 71)])
    paths = plots.plot_comparison(*tables, tmp_path)
    assert [path.name for path in paths] == [EPOCHS_PNG, COSTS_PNG, SWEEP_PNG]
    assert sorted(paths) == sorted(tmp_path.iterdir())


def test_sizes_without_a_common_base_are_no_sweep(tmp_path):
    sizes = {"a": ("a", 32), "b": ("b", 64)}
    tables = frames({"a": [[50], [51]], "b": [[60], [61]]}, sizes=sizes)
    plots.plot_comparison(*tables, tmp_path)
    assert not (tmp_path / SWEEP_PNG).exists()
