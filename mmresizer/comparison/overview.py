"""Tables for pages about published comparisons."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mmresizer.utils.tables import fill_page, make_table

_BASELINE, _LARGER = "bilinear", "larger"
_RECIPE, _NORMS = "learned, no norm", "learned"
# The arms of the columns. Those of the learned resizer are the recipe's or, in
# comparisons without it, those of the recipe before it.
_ARMS = {
    _BASELINE: _BASELINE,
    "antialiased": "antialiased",
    "MULLER": "MULLER",
    "learned, random": "random start",
    _NORMS: "with norms",
    _RECIPE: "recipe",
    "learned, cheap stem": "cheap stem",
    _LARGER: _LARGER,
}
_HEADER = (
    "comparison",
    *_ARMS.values(),
    f"learned - {_BASELINE}",
    f"learned - {_LARGER}",
    "arithmetic, learned",
    "latency, learned",
    f"latency, {_LARGER}",
)

# Comparisons with this arm are of forms of the resizer, from scratch.
_POOLED = "learned, antialiased, stride 2"
_ANTIALIASED, _DEARER = "antialiased", "larger, antialiased"
_FORMS = {
    _BASELINE: "bilinear",
    _ANTIALIASED: "antialiased",
    "bicubic, antialiased": "bicubic, antialiased",
    "MULLER": "MULLER",
    _DEARER: "larger, antialiased",
    "learned": "as in the paper",
    "learned, antialiased": "pooled, stride 1",
    _POOLED: "pooled, stride 2",
}
_RIVALS = (_BASELINE, _ANTIALIASED, "bicubic, antialiased", _DEARER)
_FORMS_HEADER = (
    "comparison",
    *_FORMS.values(),
    *(f"stride 2 - {_FORMS[name]}" for name in _RIVALS),
    "arithmetic, stride 2",
    "arithmetic, larger",
)


def render_comparison_pages(root: Path) -> dict[Path, str]:
    """Renders the tables of ``docs/results.md`` and ``docs/stability.md``.

    They list what published comparisons gave.

    Args:
        root (Path): Root of the repository.

    Returns:
        dict[Path, str]: Content by path.

    Raises:
        InputError: If a page lacks the marks between which the table goes.
    """
    results = root / "comparisons" / "results"
    tables = {
        root / "docs" / "results.md": render_overview(
            results, "../comparisons/results"
        ),
        root / "docs" / "stability.md": render_steadiness(
            results / "stability_flowers12_lite0"
        ),
    }
    return {page: fill_page(page, table) for page, table in tables.items()}


def render_overview(results: Path, link: str) -> str:
    """Renders the comparisons that have a bilinear and a learned arm as two tables.

    The first has those of pooled features, from scratch, the second all others. Those
    on images held out of the training set chose between variants: no results. Those
    without a verdict, which are under way, are named below the tables.

    In the second table differences and costs of the learned resizer are those of the
    recipe, which has no norms; in comparisons without it, of the one with norms. Costs
    are multiples of the baseline's.

    Args:
        results (Path): Folder with a folder of tables for each comparison.
        link (str): Path of ``results``, as seen from the page.

    Returns:
        str: Markdown.
    """
    files = sorted(results.glob("*/summary.json"))
    summaries = [json.loads(file.read_text()) for file in files]
    rows: list[list[str]] = []
    forms: list[list[str]] = []
    under_way = []
    for file, summary in zip(files, summaries, strict=True):
        arms = {arm["arm"]: arm for arm in summary["arms"]}
        names = (_POOLED, _RECIPE, _NORMS)
        learned = next((name for name in names if name in arms), None)
        if _BASELINE not in arms or not learned or summary["holdout"] is not None:
            continue
        name = f"[{summary['name']}]({link}/{file.parent.name}/summary.md)"
        if _find_verdict(summary, learned, _BASELINE) is None:
            under_way.append(name)
        elif learned == _POOLED:
            forms.append([name, *_make_form_cells(summary, arms)])
        else:
            rows.append([name, *_make_cells(summary, arms, learned)])
    parts = []
    if forms:
        parts += [
            "Features that are pooled (`antialias=True`), from scratch:",
            make_table(_FORMS_HEADER, forms),
            "All others:",
        ]
    parts.append(make_table(_HEADER, rows))
    if under_way:
        parts.append(f"Under way, too few seeds for a verdict: {', '.join(under_way)}.")
    return "\n\n".join(parts)


def render_steadiness(folder: Path) -> str:
    """Renders how steadily the arms of a comparison were trained.

    Args:
        folder (Path): With the tables of the comparison.

    Returns:
        str: Markdown.
    """
    summary = json.loads((folder / "summary.json").read_text())
    baseline = summary["arms"][0]["arm"]
    header = (
        "arm",
        "after epoch 1",
        f"all epochs, - {baseline}",
        "last epoch",
        "worst drop after epoch 1",
    )
    over_epochs = {
        row["arm"]: row["all_epochs"]
        for row in summary["differences"]
        if row["baseline"] == baseline
    }
    rows = [
        (
            arm["arm"],
            f"{arm['first_epoch']:.1f}",
            show_interval(over_epochs.get(arm["arm"]), "+z.1f"),
            show_interval(arm["top1"]),
            f"{arm['worst_drop']:.1f}",
        )
        for arm in summary["arms"]
        if arm["top1"]
    ]
    return make_table(header, rows)


def _make_form_cells(summary: dict[str, Any], arms: dict[str, dict]) -> list[str]:
    return [
        *_show_accuracies(arms, _FORMS),
        *(_find_verdict(summary, _POOLED, name) or "-" for name in _RIVALS),
        *(_show_arithmetic(arms, name, _ANTIALIASED) for name in (_POOLED, _DEARER)),
    ]


def _make_cells(
    summary: dict[str, Any], arms: dict[str, dict], learned: str
) -> list[str]:
    verdicts = [_find_verdict(summary, learned, name) for name in (_BASELINE, _LARGER)]
    return [
        *_show_accuracies(arms, _ARMS),
        *(f"{_ARMS[learned]}: {verdict}" if verdict else "-" for verdict in verdicts),
        _show_arithmetic(arms, learned, _BASELINE),
        *(_show_latency(arms.get(name)) for name in (learned, _LARGER)),
    ]


def _show_accuracies(arms: dict[str, dict], names: Iterable[str]) -> list[str]:
    return [
        show_interval(arms[name]["top1"] if name in arms else None) for name in names
    ]


def _show_arithmetic(arms: dict[str, dict], name: str, baseline: str) -> str:
    if not {name, baseline} <= arms.keys():
        return "-"
    return f"{arms[name]['gmac'] / arms[baseline]['gmac']:.1f}"


def _show_latency(arm: dict[str, Any] | None) -> str:
    ratio = arm["latency_ratio"] if arm else None
    return "-" if ratio is None else f"{ratio:.1f}"


def show_interval(interval: list[float] | None, form: str = ".1f") -> str:
    """Writes (mean, low, high) as mean and half the interval, and (value,) alone."""
    if interval is None:
        return "-"
    mean, *bounds = interval
    return f"{mean:{form}}" + (f" ± {mean - bounds[0]:.1f}" if bounds else "")


def show_difference(interval: Sequence[float], unit: str = "") -> str:
    """Writes (mean, low, high) with signs."""
    mean, low, high = interval
    # "z" makes a rounded -0.0 the +0.0 that it is.
    return f"{mean:+z.1f}{unit} ({low:+z.1f} to {high:+z.1f})"


def _find_verdict(summary: dict[str, Any], learned: str, baseline: str) -> str | None:
    for row in summary["differences"]:
        if (row["arm"], row["baseline"]) == (learned, baseline):
            return f"{show_difference(row['difference'])}, {row['verdict']}"
    return None
