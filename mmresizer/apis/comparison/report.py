"""Tables, summary and plots of a comparison.

:func:`write_tables` keeps what was measured as CSV; :func:`write_report` makes all else
from it, so that anyone can do that again without the runs.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image

from mmresizer.apis.checks import build_model
from mmresizer.apis.costs import build_model_to_count, model_costs
from mmresizer.apis.pair_benchmark import measure_latencies
from mmresizer.apis.visualization import load_model
from mmresizer.registry import DATASETS
from mmresizer.utils import InputError
from mmresizer.utils.files import write_atomically
from mmresizer.visualization import draw_resizers

from .plots import plot_comparison
from .runs import STAGE1, WEIGHTS, Run
from .spec import Arm, Spec
from .statistics import (
    PairedDifference,
    describe,
    mean_interval,
    paired_difference,
    worst_drop,
)

_MIN_SEEDS = 2  # for an interval
_NUM_PICTURES = 4
_TABLES = ("results.csv", "runs.csv", "arms.csv")
_FACTS = "facts.json"


def write_tables(spec: Spec, ends: dict[Run, dict[str, Any]], folder: Path) -> None:
    """Writes what was measured.

    - ``results.csv``: a row a run and epoch, with top-1 accuracy (percent) and loss.
    - ``runs.csv``: a row a run, with how it ended, and "1" for each validation image,
      in their order, on which it is right after the last epoch.
    - ``arms.csv``: a row an arm, with sizes, parameters, multiply-accumulates and the
      time of inference over the first control's. That is measured once.
    - ``facts.json``: what holds for all.

    Args:
        spec (Spec): The comparison.
        ends (dict[Run, dict[str, Any]]): How each run ended, in order.
        folder (Path): For the files.
    """
    results, rows = [], []
    for run, result in ends.items():
        key = dict(arm=run.arm, seed=run.seed)
        # Of a run that did not finish, no epoch counts.
        for i, top1 in enumerate(result.get("top1", [])):
            loss = round(result["loss"][i], 6)
            results.append(
                {**key, "epoch": i + 1, "top1": round(top1, 4), "loss": loss}
            )
        data = " ".join(result.get("data", []))
        end = {name: result.get(name, "") for name in ("status", "reason", "correct")}
        rows.append({**key, **end, "data": data})
    columns = ["arm", "seed", "epoch", "top1", "loss"]
    _write_csv(folder / "results.csv", pd.DataFrame(results, columns=columns))
    _write_csv(folder / "runs.csv", pd.DataFrame(rows))
    _write_arms(spec, folder / "arms.csv")
    finished = [end for end in ends.values() if end["status"] == "finished"]
    facts = dict(
        name=spec.name,
        seeds=spec.seeds,
        warmup_epochs=spec.warmup_epochs,
        holdout=spec.holdout,
        machines=sorted({end["machine"] for end in finished}),
        dates=sorted({end["date"] for end in finished}),
    )
    write_atomically(folder / _FACTS, json.dumps(facts, indent=2) + "\n")


def _write_csv(path: Path, frame: pd.DataFrame) -> None:
    write_atomically(path, frame.to_csv(index=False, lineterminator="\n"))


def _write_arms(spec: Spec, path: Path) -> None:
    rows = []
    for arm in spec.arms:
        costs = model_costs(build_model_to_count(arm.cfg), arm.input_size)
        rows.append(
            dict(
                arm=arm.name,
                control=arm.control,
                base=arm.base,
                input="x".join(map(str, arm.input_size)),
                input_size=arm.input_size[0],
                output="x".join(map(str, arm.output_size)),
                resizer_params=costs.resizer.parameters,
                params=costs.total.parameters,
                resizer_gmac=round(costs.resizer.macs / 1e9, 4),
                gmac=round(costs.total.macs / 1e9, 4),
            )
        )
    frame = pd.DataFrame(rows)
    if path.is_file():
        measured = pd.read_csv(path)
        if measured.drop(columns="latency_ratio").equals(frame):
            return
    frame["latency_ratio"] = _latency_ratios(spec.arms, spec.controls[0])
    _write_csv(path, frame)


def _latency_ratios(arms: list[Arm], control: Arm) -> list[float]:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    models = [build_model(arm.cfg).to(device).eval() for arm in arms]
    images = [torch.rand(8, 3, *arm.input_size, device=device) for arm in arms]
    times = measure_latencies(models, images)
    ratios = np.array(times) / np.array(times)[:, [arms.index(control)]]
    return np.median(ratios, axis=0).round(3).tolist()


def draw_arms(spec: Spec, ends: dict[Run, dict[str, Any]], folder: Path) -> None:
    """Draws ``resizers.png``: what the resizer of each arm makes of four images.

    Those of the first seed, and of the arms whose input is as large as the first's.

    Args:
        spec (Spec): The comparison.
        ends (dict[Run, dict[str, Any]]): How each run ended, in order.
        folder (Path): For the picture.
    """
    arms = [a for a in spec.arms if a.input_size == spec.arms[0].input_size]
    weights = {
        run.arm: str(run.folder / WEIGHTS)
        for run, result in reversed(ends.items())
        if result["status"] == "finished"
    }
    models = {
        arm.name: load_model(arm.cfg, weights[arm.name])
        for arm in arms
        if arm.name in weights
    }
    if not models:
        return
    dataset = DATASETS.build(arms[0].cfg.val_dataloader.dataset)
    # Spread over the set, which often has a class after the other.
    indices = [i * len(dataset) // _NUM_PICTURES for i in range(_NUM_PICTURES)]
    samples = [dataset[i] for i in indices]
    classes = dataset.metainfo.get("classes")
    labels = [sample["data_samples"].gt_label.item() for sample in samples]
    titles = [classes[label] for label in labels] if classes else map(str, labels)
    picture = draw_resizers(models, [s["inputs"] for s in samples], list(titles))
    Image.fromarray(picture).save(folder / "resizers.png")


def write_report(folder: Path) -> str:
    """Makes ``summary.md``, ``summary.json`` and the plots from the tables.

    Args:
        folder (Path): With the files of :func:`write_tables`.

    Returns:
        str: The summary, in Markdown.

    Raises:
        InputError: If a table is missing.
    """
    for name in (*_TABLES, _FACTS):
        if not (folder / name).is_file():
            raise InputError(f"{str(folder)!r} has no {name} of a comparison")
    results = pd.read_csv(folder / "results.csv")
    text = dict(correct=str, data=str, reason=str)
    runs = pd.read_csv(folder / "runs.csv", dtype=text, keep_default_na=False)
    arms = pd.read_csv(folder / "arms.csv")
    facts = json.loads((folder / _FACTS).read_text())
    summary = summarize(results, runs, arms, facts)
    write_atomically(folder / "summary.json", json.dumps(summary, indent=2) + "\n")
    page = render(summary)
    write_atomically(folder / "summary.md", page)
    plot_comparison(results, arms, folder)
    return page


def summarize(
    results: pd.DataFrame, runs: pd.DataFrame, arms: pd.DataFrame, facts: dict
) -> dict[str, Any]:
    """Computes the statistics of a comparison.

    Args:
        results (pd.DataFrame): Of ``results.csv``.
        runs (pd.DataFrame): Of ``runs.csv``.
        arms (pd.DataFrame): Of ``arms.csv``.
        facts (dict): Of ``facts.json``.

    Returns:
        dict[str, Any]: The facts, and lists "arms", "differences" and "failures", and
        numbers of "stage1" and "same_data". Accuracies in percent.
    """
    finished = runs[runs.status == "finished"]
    correct = {
        (run.arm, run.seed): np.array(list(run.correct)) == "1"
        for run in finished.itertuples()
    }
    rows = []
    for arm in arms.to_dict("records"):
        curves = _curves(results, arm["arm"])
        drops = [worst_drop(curve, facts["warmup_epochs"]) for curve in curves]
        top1 = _interval([curve[-1] for curve in curves])
        worst = round(max(drops), 4) if drops else None
        rows.append({**arm, "seeds": len(curves), "top1": top1, "worst_drop": worst})
    differences = []
    for arm in rows:
        for control in rows:
            # In a sweep, controls of the same pixels.
            same_input = arm["input"] == control["input"]
            if not control["control"] or control is arm or not same_input:
                continue
            pair = arm["arm"], control["arm"]
            seeds = [s for s in facts["seeds"] if all((n, s) in correct for n in pair)]
            if len(seeds) < _MIN_SEEDS:
                continue
            arm_right, control_right = (
                np.stack([correct[name, seed] for seed in seeds]) for name in pair
            )
            difference = paired_difference(arm_right, control_right)
            differences.append(
                dict(
                    arm=pair[0],
                    control=pair[1],
                    seeds=seeds,
                    images=difference.num_images,
                    **_numbers(difference),
                    words=describe(difference, *pair),
                )
            )
    failures = runs[runs.status != "finished"]
    return dict(
        **facts,
        images=max((len(c) for c in correct.values()), default=0),
        same_data=_same_data(finished, arms),
        stage1=_interval([curve[-1] for curve in _curves(results, STAGE1)]),
        arms=rows,
        differences=differences,
        failures=failures[["arm", "seed", "status", "reason"]].to_dict("records"),
    )


def _curves(results: pd.DataFrame, arm: str) -> list[list[float]]:
    """Accuracy over the epochs, of each seed."""
    chosen = results[results.arm == arm]
    return [group.top1.tolist() for _, group in chosen.groupby("seed", sort=False)]


def _interval(values: list[float]) -> list[float] | None:
    if len(values) < _MIN_SEEDS:
        return None
    return [round(value, 4) for value in mean_interval(values)]


def _numbers(difference: PairedDifference) -> dict[str, Any]:
    return dict(
        difference=[
            round(value, 4)
            for value in (difference.mean, difference.low, difference.high)
        ],
        over_seeds=[round(value, 4) for value in difference.over_seeds],
        bootstrap=[round(value, 4) for value in difference.bootstrap],
        mcnemar=[round(p, 4) for p in difference.mcnemar],
        verdict=difference.verdict,
    )


def _same_data(finished: pd.DataFrame, arms: pd.DataFrame) -> bool:
    """Whether the arms of a seed and an input size saw the same images, in order."""
    inputs = dict(zip(arms.arm, arms.input, strict=True))
    seen: dict[tuple, list[str]] = {}
    for run in finished[finished.arm != STAGE1].itertuples():
        data = run.data.split()
        other = seen.setdefault((inputs[run.arm], run.seed), data)
        if any(a != b for a, b in zip(data, other, strict=False)):
            return False
    return True


def render(summary: dict[str, Any]) -> str:
    """Writes a summary down in Markdown."""
    seeds = ", ".join(map(str, summary["seeds"]))
    where = summary["holdout"] or "the validation set"
    lines = [
        f"# {summary['name']}",
        "",
        f"Top-1 accuracy (%) after the last epoch on {summary['images']} images "
        f"({where}); no checkpoint is picked. Seeds {seeds}. Intervals: 95 %.",
        "",
    ]
    if summary["stage1"]:
        lines += [
            f"All arms start from stage 1, which reaches {_show(summary['stage1'])}.",
            "",
        ]
    lines += [
        "| arm | input | output | parameters of resizer | in all | GMAC of resizer "
        "| in all | latency ratio | top-1 | worst drop of an epoch |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for arm in summary["arms"]:
        name = f"{arm['arm']} (control)" if arm["control"] else arm["arm"]
        drop = "-" if arm["worst_drop"] is None else f"{arm['worst_drop']:.1f}"
        lines.append(
            f"| {name} | {arm['input']} | {arm['output']} | {arm['resizer_params']:,} "
            f"| {arm['params']:,} | {arm['resizer_gmac']:.4f} | {arm['gmac']:.4f} "
            f"| {arm['latency_ratio']:.2f} | {_show(arm['top1'])} | {drop} |"
        )
    controls = [arm["arm"] for arm in summary["arms"] if arm["control"]]
    lines += [
        "",
        "GMAC: 10^9 multiply-accumulates for one image. Latency: inference of batches "
        f"of 8, over that of {controls[0]}. Worst drop: the deepest fall of one epoch "
        "below the best before it, in points, in any seed; warm-up "
        f"({summary['warmup_epochs']}) apart.",
        "",
        "## Differences",
        "",
        "In points, paired by seed and by image. The interval holds both of its "
        "columns to the right: Student's t over the seeds, and a bootstrap over seeds "
        "and images. A verdict needs both on one side of zero. McNemar: exact p, a "
        "seed each.",
        "",
        "| arm | control | difference | over seeds | seeds and images | McNemar | "
        "verdict |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    # A control against the others is beside the point, but for the first.
    shown = [
        row
        for row in summary["differences"]
        if row["arm"] not in controls or row["control"] == controls[0]
    ]
    for row in shown:
        mean, low, high = row["difference"]
        spans = [
            f"{span[1]:+.1f} to {span[2]:+.1f}"
            for span in (row["over_seeds"], row["bootstrap"])
        ]
        p_values = ", ".join(f"{p:.3f}" for p in row["mcnemar"])
        lines.append(
            f"| {row['arm']} | {row['control']} | {mean:+.1f} ({low:+.1f} to "
            f"{high:+.1f}) | {spans[0]} | {spans[1]} | {p_values} | {row['verdict']} |"
        )
    lines += ["", "In words:", ""]
    lines += [f"- {row['words']}" for row in shown if row["arm"] not in controls]
    if summary["failures"]:
        lines += ["", "## Runs that did not finish", ""]
        lines += [
            f"- {run['arm']}, seed {run['seed']}: {run['status']}, {run['reason']}"
            for run in summary["failures"]
        ]
    same = (
        "All arms of a seed saw the same images in the same order, augmentation "
        "included (by checksum)."
        if summary["same_data"]
        else "**The arms of a seed did not see the same images.**"
    )
    lines += [
        "",
        same,
        "",
        f"Trained on {'; '.join(summary['machines']) or '-'}, "
        f"{' to '.join(summary['dates'][:1] + summary['dates'][1:][-1:]) or '-'}.",
        "",
    ]
    return "\n".join(lines)


def _show(interval: list[float] | None) -> str:
    if interval is None:
        return "-"
    mean, low, _ = interval
    return f"{mean:.1f} ± {mean - low:.1f}"
