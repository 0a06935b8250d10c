"""The page that says in Markdown what a comparison gave."""

from typing import Any

from mmresizer.utils.tables import make_table

from .overview import show_difference, show_interval
from .statistics import MIN_SEEDS

_ARM_HEADER = (
    "arm",
    "input",
    "output",
    "parameters of resizer",
    "in all",
    "GMAC of resizer",
    "in all",
    "latency ratio",
    "after epoch 1",
    "top-1",
    "worst drop of an epoch",
)
_DIFFERENCE_HEADER = (
    "arm",
    "baseline",
    "difference",
    "over seeds",
    "seeds and images",
    "all epochs",
    "McNemar",
    "verdict",
)
_DIFFERENCE_NOTE = (
    "In points, paired by seed and by image. The interval holds both of its columns to "
    "the right: Student's t over the seeds, and a bootstrap over seeds and images. A "
    "verdict needs both on one side of zero; of twenty arms without an effect, one may "
    "get it by chance. *All epochs*: of the mean over the epochs, by the seeds. "
    "McNemar: exact p, a seed each."
)


def render(summary: dict[str, Any]) -> str:
    """Writes a summary down in Markdown."""
    baselines = [arm["arm"] for arm in summary["arms"] if arm["baseline"]]
    shown = _choose_differences(summary["differences"], baselines)
    words = [row["words"] for row in shown if row["arm"] not in baselines]
    words += _explain_missing_verdicts(summary, {row["arm"] for row in shown})
    failures = [
        f"{run['arm']}, seed {run['seed']}: {run['status']}, {run['reason']}"
        for run in summary["failures"]
    ]
    parts = [
        f"# {summary['name']}",
        _introduce(summary),
        _describe_start(summary),
        make_table(
            _ARM_HEADER, [_make_arm_row(arm, summary) for arm in summary["arms"]]
        ),
        _explain_columns(summary, baselines[0]),
        "## Differences",
        _DIFFERENCE_NOTE,
        make_table(_DIFFERENCE_HEADER, map(_make_difference_row, shown)),
        *_make_list("In words:", words),
        *_make_list("## Runs that did not finish", failures),
        _describe_data(summary["same_data"]),
        _describe_machines(summary),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _introduce(summary: dict[str, Any]) -> str:
    where = summary["holdout"] or "the validation set"
    return (
        f"Top-1 accuracy (%) after the last epoch on {summary['images']} images "
        f"({where}); no checkpoint is picked. Seeds "
        f"{', '.join(map(str, summary['seeds']))}. Intervals: 95 %."
    )


def _describe_start(summary: dict[str, Any]) -> str:
    if not summary["weights"]:
        return ""
    reached = summary["stage1"]
    reached = f", which reaches {show_interval(reached)}" if reached else ""
    return f"All arms start from {summary['weights']}{reached}."


def _make_arm_row(arm: dict[str, Any], summary: dict[str, Any]) -> list[str]:
    count, planned = arm["seeds"], len(summary["seeds"])
    note = f" ({count} of {planned} seeds)" if count < planned else ""
    return [
        arm["arm"] + (" (baseline)" if arm["baseline"] else ""),
        arm["input"],
        arm["output"],
        f"{arm['resizer_params']:,}",
        f"{arm['params']:,}",
        f"{arm['resizer_gmac']:.4f}",
        f"{arm['gmac']:.4f}",
        _show(arm["latency_ratio"], ".2f"),
        _show(arm["first_epoch"], ".1f"),
        show_interval(arm["top1"]) + note,
        _show(arm["worst_drop"], ".1f"),
    ]


def _show(value: float | None, form: str) -> str:
    return "-" if value is None else f"{value:{form}}"


def _explain_columns(summary: dict[str, Any], baseline: str) -> str:
    machine = summary["arms"][0]["latency_machine"]
    where = f" ({machine})" if machine else ""
    return (
        f"GMAC: 10^9 multiply-accumulates for one image, {_explain_count(summary)}. "
        "Latency: inference of batches of 8, over that of "
        f"{baseline}{where}. Worst drop: the deepest fall of one "
        "epoch below the best before it, in points, in any seed, after "
        f"{summary['warmup_epochs']} epoch(s) of warm-up. *After epoch 1*: the mean "
        "over the seeds."
    )


def _explain_count(summary: dict[str, Any]) -> str:
    arms = summary["arms"]
    if any("gmac_paper" not in arm for arm in arms):  # of older comparisons
        return "with the whole stem of the resizers, as the paper counts"
    fewer = [arm for arm in arms if arm["gmac_paper"] != arm["gmac"]]
    whole = "; ".join(f"{arm['arm']}: {arm['gmac_paper']:.4f}" for arm in fewer)
    paper = f" (in all, with the whole stem, as the paper counts: {whole})"
    return f"as inference computes them{paper if fewer else ''}"


def _choose_differences(rows: list[dict], baselines: list[str]) -> list[dict]:
    """Leaves out baselines against others than the first of their input.

    They are beside the point.
    """
    first: dict[str, str] = {}
    for row in rows:
        first.setdefault(row["arm"], row["baseline"])
    return [
        row
        for row in rows
        if row["arm"] not in baselines or row["baseline"] == first[row["arm"]]
    ]


def _make_difference_row(row: dict[str, Any]) -> list[str]:
    over_epochs = row["all_epochs"]
    return [
        row["arm"],
        row["baseline"],
        show_difference(row["difference"]),
        _show_span(row["over_seeds"]),
        _show_span(row["bootstrap"]),
        show_difference(over_epochs) if over_epochs else "-",
        ", ".join(f"{p:.3f}" for p in row["mcnemar"]),
        row["verdict"],
    ]


def _show_span(interval: list[float]) -> str:
    _, low, high = interval
    return f"{low:+z.1f} to {high:+z.1f}"


def _explain_missing_verdicts(summary: dict[str, Any], judged: set[str]) -> list[str]:
    inputs = {arm["input"] for arm in summary["arms"] if arm["baseline"]}
    sentences = []
    for arm in summary["arms"]:
        if arm["baseline"] or arm["arm"] in judged:
            continue
        if arm["input"] in inputs:
            why = (
                f"it has no {MIN_SEEDS} seeds in common with a baseline of its input "
                f"size ({arm['seeds']} of {len(summary['seeds'])} have finished)"
            )
        else:
            why = f"no baseline has inputs of {arm['input']}"
        sentences.append(f"{arm['arm']} has no verdict: {why}.")
    return sentences


def _make_list(title: str, items: list[str]) -> list[str]:
    return [title, "\n".join(f"- {item}" for item in items)] if items else []


def _describe_data(same: bool) -> str:
    if not same:
        return "**The arms of a seed did not see the same images.**"
    return (
        "All arms of a seed and an input size saw the same images in the same order in "
        "each epoch that they share, augmentation in the pipeline included (by "
        "checksum)."
    )


def _describe_machines(summary: dict[str, Any]) -> str:
    dates = summary["dates"]
    return (
        f"Trained on {'; '.join(summary['machines']) or '-'}, "
        f"{' to '.join(dates[:1] + dates[1:][-1:]) or '-'}."
    )
