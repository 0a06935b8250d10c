"""Tables for pages about published comparisons."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_CONTROL, _LEARNED, _LARGER = "bilinear", "learned", "larger"
_ARMS = (
    _CONTROL,
    "antialiased",
    "MULLER",
    "learned, random",
    _LEARNED,
    "learned, cheap stem",
    _LARGER,
)
_HEADER = (
    "comparison",
    *_ARMS,
    f"{_LEARNED} - {_CONTROL}",
    f"{_LEARNED} - {_LARGER}",
    f"arithmetic, {_LEARNED} / {_CONTROL}",
    "latency",
)


def render_overview(results: Path, link: str) -> str:
    """Renders the comparisons that have a bilinear and a learned arm as one table.

    Args:
        results (Path): Folder with a folder of tables for each comparison.
        link (str): Path of ``results``, as seen from the page.

    Returns:
        str: Markdown.
    """
    files = sorted(results.glob("*/summary.json"))
    summaries = [json.loads(file.read_text()) for file in files]
    rows = [
        _make_row(summary, f"{link}/{file.parent.name}/summary.md")
        for file, summary in zip(files, summaries, strict=True)
        if {_CONTROL, _LEARNED} <= {arm["arm"] for arm in summary["arms"]}
    ]
    return "\n".join(map(_make_line, [_HEADER, ["---"] * len(_HEADER), *rows]))


def render_steadiness(folder: Path) -> str:
    """Renders how steadily the arms of a comparison were trained.

    Args:
        folder (Path): With the tables of the comparison.

    Returns:
        str: Markdown.
    """
    summary = json.loads((folder / "summary.json").read_text())
    header = ("arm", "after epoch 1", "last epoch", "worst drop after it")
    rows = [
        [
            arm["arm"],
            f"{arm['first_epoch']:.1f}",
            _show_accuracy(arm),
            f"{arm['worst_drop']:.1f}",
        ]
        for arm in summary["arms"]
        if arm["top1"]
    ]
    return "\n".join(map(_make_line, [header, ["---"] * len(header), *rows]))


def _make_row(summary: dict[str, Any], page: str) -> list[str]:
    arms = {arm["arm"]: arm for arm in summary["arms"]}
    learned, control = arms[_LEARNED], arms[_CONTROL]
    ratio = learned["latency_ratio"]
    return [
        f"[{summary['name']}]({page})",
        *(_show_accuracy(arms.get(name)) for name in _ARMS),
        *(_show_difference(summary, name) for name in (_CONTROL, _LARGER)),
        f"{learned['gmac'] / control['gmac']:.1f}",
        "-" if ratio is None else f"{ratio:.1f}",
    ]


def _show_accuracy(arm: dict[str, Any] | None) -> str:
    if arm is None or arm["top1"] is None:
        return "-"
    mean, low, _ = arm["top1"]
    return f"{mean:.1f} ± {mean - low:.1f}"


def _show_difference(summary: dict[str, Any], control: str) -> str:
    for row in summary["differences"]:
        if (row["arm"], row["control"]) == (_LEARNED, control):
            mean, low, high = row["difference"]
            return f"{mean:+z.1f} ({low:+z.1f} to {high:+z.1f}), {row['verdict']}"
    return "-"


def _make_line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
