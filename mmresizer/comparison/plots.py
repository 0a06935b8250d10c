"""Plots of a comparison: accuracy over the epochs, against the cost and the input."""

import math
import textwrap
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import ScaledTranslation

from .statistics import mean_interval

# Okabe and Ito's colours, which colour-blind people can tell apart, without yellow,
# which is too pale for a line.
_COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#000000",
    "#CC79A7",
    "#56B4E9",
    "#E69F00",
)
_LINES = ("-", "--", ":")
# As their number and that of the colours have no common divisor, a pair of both only
# repeats after 56 arms.
_MARKERS = "os^DvPX*"
# More arms than this, and the lines of single seeds hide the means.
_MAX_ARMS_WITH_SEEDS = 4
# More than this, and each gets a panel of its own.
_MAX_ARMS_IN_ONE_PANEL = 8
_MAX_EPOCHS_WITH_MARKERS = 20
_LEGEND_WIDTH = 26  # characters
_FINAL = "top-1 accuracy after the last epoch (%)"
_INTERVALS = "Mean over the seeds and its 95 % interval (Student's t)"


def plot_comparison(
    results: pd.DataFrame, costs: pd.DataFrame, folder: Path
) -> list[Path]:
    """Plots the accuracy over the epochs, against the GMAC and the input size.

    The final accuracy is that of an arm's last epoch; a seed that ended before is in
    the first plot only. That plot has a panel an arm where there are many.

    Args:
        results (pd.DataFrame): One row a run and epoch, with the columns arm, seed,
            epoch (from 1) and top1 (in percent). Arms without costs, such as stage 1,
            are not plotted.
        costs (pd.DataFrame): One row an arm, in the order of the legends, with the
            columns arm, base (the arm's name without the input size), input_size
            (height), gmac and planned_seeds (how many it is to be trained with).
        folder (Path): For the PNG files; it is made if it is missing.

    Returns:
        list[Path]: The files: ``accuracy_over_epochs.png``,
        ``accuracy_against_gmac.png`` and, if an arm was trained at several input sizes,
        ``resolution_sweep.png``. None if there is no row to plot.
    """
    runs = results[results["arm"].isin(costs["arm"])]
    if runs.empty:
        return []
    if len(costs) > _MAX_ARMS_IN_ONE_PANEL:
        figures = {"accuracy_over_epochs.png": draw_panels(runs, costs)}
    else:
        figures = {"accuracy_over_epochs.png": _draw_one(draw_epochs, runs, costs)}
    figures["accuracy_against_gmac.png"] = _draw_one(draw_costs, runs, costs)
    if not _swept(costs).empty:
        figures["resolution_sweep.png"] = _draw_one(draw_sweep, runs, costs)
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        figure.savefig(folder / name, dpi=150)
    return [folder / name for name in figures]


def _draw_one(
    draw: Callable[[Axes, pd.DataFrame, pd.DataFrame], None],
    runs: pd.DataFrame,
    costs: pd.DataFrame,
) -> Figure:
    """Draws a plot of one panel, with its legend beside it."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    draw(axes, runs, costs)
    axes.grid(alpha=0.3)
    axes.title.set_fontsize(10)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", fontsize=8)
    # A long legend makes the figure higher; it would be cut off otherwise.
    lines = "\n".join(labels).count("\n") + 1
    figure.set_figheight(max(4.5, 0.3 + 0.14 * lines + 0.06 * len(labels)))
    return figure


def draw_panels(runs: pd.DataFrame, costs: pd.DataFrame) -> Figure:
    """Draws the seeds of each arm in a panel, in front of the first arm's in grey.

    Args:
        runs (pd.DataFrame): Rows of the arms, see :func:`plot_comparison`.
        costs (pd.DataFrame): See :func:`plot_comparison`.

    Returns:
        Figure: The plot.
    """
    columns = 4
    rows = math.ceil(len(costs) / columns)
    figure = Figure(figsize=(10, 0.6 + 1.9 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True).flatten()
    first = costs["arm"].iloc[0]
    seeds = dict(x="epoch", y="top1", units="seed", estimator=None, legend=False)
    for axes, arm in zip(panels, costs["arm"], strict=False):
        for name, colour in ((first, "0.7"), (arm, _COLOURS[0])):
            shown = runs[runs["arm"] == name]
            if not shown.empty:
                sns.lineplot(data=shown, ax=axes, color=colour, linewidth=1, **seeds)
        axes.set_title(_label(arm, runs, costs), fontsize=8)
        axes.set(xlabel="", ylabel="")
        axes.grid(alpha=0.3)
        axes.tick_params(labelsize=8)
        axes.xaxis.set_major_locator(
            MaxNLocator(integer=True, min_n_ticks=1, steps=(1, 2, 5, 10))
        )
    for axes in panels[len(costs) :]:
        axes.remove()
    figure.suptitle(f"Each seed; in grey, those of {first}", fontsize=10)
    figure.supxlabel("epoch", fontsize=9)
    figure.supylabel("top-1 accuracy (%)", fontsize=9)
    return figure


def draw_epochs(axes: Axes, runs: pd.DataFrame, costs: pd.DataFrame) -> None:
    """Draws each arm's mean over the seeds, in a band from the lowest to the highest.

    A 95 % band would be too wide to read with the few seeds that there are.

    Args:
        axes (Axes): To draw on.
        runs (pd.DataFrame): Rows of the arms, see :func:`plot_comparison`.
        costs (pd.DataFrame): See :func:`plot_comparison`.
    """
    few = len(costs) <= _MAX_ARMS_WITH_SEEDS
    marker = "." if runs["epoch"].nunique() <= _MAX_EPOCHS_WITH_MARKERS else ""
    for i, arm in enumerate(costs["arm"]):
        rows = runs[runs["arm"] == arm]
        style = {**_style(i), "marker": marker, "label": _label(arm, runs, costs)}
        if rows.empty:  # in the legend, all the same
            axes.plot([], [], **style)
            continue
        data = dict(data=rows, x="epoch", y="top1", ax=axes, legend=False)
        sns.lineplot(
            **data,
            **style,
            markeredgewidth=0,
            errorbar=("pi", 100),
            err_kws=dict(alpha=0.2 if few else 0.1, linewidth=0),
        )
        if few:
            thin = dict(color=style["color"], linewidth=0.5)
            sns.lineplot(**data, **thin, units="seed", estimator=None)
    axes.xaxis.set_major_locator(
        MaxNLocator(integer=True, min_n_ticks=1, steps=(1, 2, 5, 10))
    )
    axes.set(
        title="Mean over the seeds; the bands span the lowest to the highest seed"
        + (";\nthin lines: the single seeds" if few else ""),
        xlabel="epoch",
        ylabel="top-1 accuracy (%)",
    )


def draw_costs(axes: Axes, runs: pd.DataFrame, costs: pd.DataFrame) -> None:
    """Draws the final accuracy against the GMAC; the arguments of :func:`draw_epochs`.

    Arms of the same cost stand side by side.
    """
    shifts = _side_by_side(list(costs["gmac"]))
    finals = _finals(runs)
    for i, (arm, gmac) in enumerate(zip(costs["arm"], costs["gmac"], strict=True)):
        style = {**_style(i), "linestyle": "none", "label": _label(arm, runs, costs)}
        bars = _draw_intervals(axes, [gmac], [finals.get(arm, [])], style)
        _shift(bars, 8 * shifts[i], axes)
    _make_room(axes, 8 * max(shifts))
    axes.set(
        title=f"{_INTERVALS};\npoints of about the same cost stand side by side",
        xlabel="GMAC of the whole model for one image",
        ylabel=_FINAL,
    )


def draw_sweep(axes: Axes, runs: pd.DataFrame, costs: pd.DataFrame) -> None:
    """Draws the final accuracy against the size of the input, a line a base.

    Takes the arguments of :func:`draw_epochs`. Bases with one size only are left out.
    """
    swept = _swept(costs)
    finals = _finals(runs)
    bases = list(dict.fromkeys(swept["base"]))
    for i, base in enumerate(bases):
        rows = swept[swept["base"] == base].sort_values("input_size")
        samples = [finals.get(arm, []) for arm in rows["arm"]]
        style = {**_style(i), "label": textwrap.fill(base, _LEGEND_WIDTH)}
        bars = _draw_intervals(axes, rows["input_size"], samples, style)
        _shift(bars, 5 * (i - (len(bases) - 1) / 2), axes)
    _make_room(axes, 2.5 * len(bases))
    axes.set_xticks(sorted(set(swept["input_size"])))
    axes.set(
        title=f"{_INTERVALS};\npoints of the same size stand side by side",
        xlabel="height of the input (px)",
        ylabel=_FINAL,
    )


def _style(i: int) -> dict[str, Any]:
    return dict(
        color=_COLOURS[i % len(_COLOURS)],
        linestyle=_LINES[i // len(_COLOURS) % len(_LINES)],
        marker=_MARKERS[i % len(_MARKERS)],
    )


def _swept(costs: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows of bases with at least two input sizes."""
    return costs[costs.groupby("base")["input_size"].transform("nunique") > 1]


def _finals(runs: pd.DataFrame) -> dict[str, list[float]]:
    """Returns the accuracies of each arm's last epoch, one a seed."""
    rows = runs[runs["epoch"] == runs.groupby("arm")["epoch"].transform("max")]
    return {str(arm): list(top1) for arm, top1 in rows.groupby("arm")["top1"]}


def _label(arm: str, runs: pd.DataFrame, costs: pd.DataFrame) -> str:
    """Returns the name for the legend, with a note if seeds miss the last epoch."""
    final, seeds = len(_finals(runs).get(arm, [])), costs["planned_seeds"].iloc[0]
    note = f" ({final} of {seeds} seeds)" if final < seeds else ""
    return textwrap.fill(arm + note, _LEGEND_WIDTH)


def _draw_intervals(
    axes: Axes, places: Iterable[float], samples: list[list[float]], style: dict
) -> ErrorbarContainer:
    """Draws means and intervals; of one value no interval, of none nothing."""
    nothing = (float("nan"),) * 3
    points = []
    for place, values in zip(places, samples, strict=True):
        if len(values) > 1:
            points.append((place, *mean_interval(values)))
        elif values:
            points.append((place, values[0], *nothing[1:]))
        else:
            points.append((place, *nothing))
    xs, means, lows, highs = zip(*points, strict=True)
    below = [mean - low for mean, low in zip(means, lows, strict=True)]
    above = [high - mean for mean, high in zip(means, highs, strict=True)]
    return axes.errorbar(
        xs, means, (below, above), capsize=3, elinewidth=1, markersize=6, **style
    )


def _side_by_side(places: list[float]) -> list[float]:
    """Returns steps, around 0, that move places apart which would hide one another."""
    near = 0.03 * (max(places) - min(places))
    groups: list[list[int]] = []
    for i in sorted(range(len(places)), key=places.__getitem__):
        if groups and places[i] - places[groups[-1][-1]] <= near:
            groups[-1].append(i)
        else:
            groups.append([i])
    steps = {
        i: k - (len(group) - 1) / 2 for group in groups for k, i in enumerate(group)
    }
    return [steps[i] for i in range(len(places))]


def _shift(bars: ErrorbarContainer, points: float, axes: Axes) -> None:
    """Moves error bars to the right on paper; their data stay what they are."""
    offset = ScaledTranslation(points / 72, 0, axes.figure.dpi_scale_trans)
    for artist in bars.get_children():
        artist.set_transform(axes.transData + offset)


def _make_room(axes: Axes, points: float) -> None:
    """Widens the axes by what was moved, and limits them to percentages."""
    width = 4.5 * 72  # points; with the longest legend
    axes.margins(x=0.05 + points / max(width - 2 * points, 72))
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, -2), min(high, 102))
