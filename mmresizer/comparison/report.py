"""Tables, summary and plots of a comparison.

:func:`write_runs`, :func:`write_arms` and :func:`measure_latency` keep what was
measured as CSV; :func:`write_report` makes all else from it, so that anyone can do that
again without the runs.
"""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor, nn

from mmresizer.analysis.costs import build_model_to_count, model_costs
from mmresizer.analysis.timing import measure_latencies
from mmresizer.config.building import build_model
from mmresizer.hub.loading import load_model
from mmresizer.models.utils import get_resizer
from mmresizer.registry import DATASETS
from mmresizer.utils import InputError
from mmresizer.utils.files import write_atomically
from mmresizer.utils.machine import describe_machine
from mmresizer.utils.tables import show_size
from mmresizer.visualization import draw_resizers

from .arm import Arm
from .plots import plot_comparison
from .runs import STAGE1, WEIGHTS, Run
from .spec import Spec
from .statistics import (
    MIN_SEEDS,
    PairedDifference,
    describe,
    mean_interval,
    paired_difference,
    worst_drop,
)
from .summary_page import render

_NUM_PICTURES = 4
_MAX_LATENCY_ERROR = 0.15
_ARM_COLUMNS = (
    "arm",
    "baseline",
    "base",
    "input",
    "input_size",
    "output",
    "resizer_params",
    "params",
    "resizer_gmac",
    "gmac",
)
_TABLES = {
    "results.csv": ("arm", "seed", "epoch", "top1", "loss"),
    "runs.csv": ("arm", "seed", "status", "reason", "data", "val_data", "correct"),
    "arms.csv": (*_ARM_COLUMNS, "latency_ratio", "latency_machine"),
}
_FACTS = "facts.json"


def write_runs(spec: Spec, folder: Path, ends: dict[Run, dict[str, Any]]) -> None:
    """Writes what the runs that have ended gave.

    - ``results.csv``: a row a run and epoch, with top-1 accuracy (percent) and loss.
    - ``runs.csv``: a row a run, with how it ended, and "1" for each validation image,
      in their order, on which it is right after the last epoch.
    - ``facts.json``: what holds for all.

    Args:
        spec (Spec): The comparison.
        folder (Path): For the files.
        ends (dict[Run, dict[str, Any]]): How each run ended, in order.
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
        end = {name: result.get(name, "") for name in ("status", "reason")}
        data = dict(
            data=" ".join(result.get("data", [])),
            val_data=result.get("val_data", ""),
            correct=result.get("correct", ""),
        )
        rows.append({**key, **end, **data})
    for name, table in (("results.csv", results), ("runs.csv", rows)):
        _write_csv(folder / name, pd.DataFrame(table, columns=list(_TABLES[name])))
    finished = [end for end in ends.values() if end["status"] == "finished"]
    facts = dict(
        name=spec.name,
        seeds=spec.seeds,
        weights=spec.checkpoint or ("stage 1" if spec.stage1 is not None else None),
        warmup_epochs=spec.warmup_epochs,
        holdout=spec.holdout,
        machines=sorted({end["machine"] for end in finished}),
        dates=sorted({end["date"] for end in finished}),
    )
    write_atomically(folder / _FACTS, json.dumps(facts, indent=2) + "\n")


def _write_csv(path: Path, frame: pd.DataFrame) -> None:
    write_atomically(path, frame.to_csv(index=False, lineterminator="\n"))


def _read_table(path: Path) -> pd.DataFrame:
    """Reads a table of this module; no name of an arm is taken for a number.

    Raises:
        InputError: If it is none.
    """
    words = ("arm", "base", "input", "output", "status", "reason", "latency_machine")
    data = ("data", "val_data", "correct")
    try:
        table = pd.read_csv(
            path,
            dtype=dict.fromkeys((*words, *data), str),
            keep_default_na=False,
            na_values={"latency_ratio": [""]},
        )
    except ValueError as e:  # pandas' own among them
        raise InputError(f"{str(path)!r} is no table of a comparison ({e})") from e
    if absent := [name for name in _TABLES[path.name] if name not in table]:
        raise InputError(
            f"{str(path)!r} is no table of a comparison: it lacks the columns "
            f"{', '.join(absent)}"
        )
    return table


def write_arms(spec: Spec, folder: Path) -> None:
    """Writes ``arms.csv``: a row an arm, with sizes, parameters and arithmetic.

    What is known of the latency of an arm is kept, if it and the first baseline are the
    same.
    """
    rows = []
    for arm in spec.arms:
        costs = model_costs(build_model_to_count(arm.cfg), arm.input_size)
        rows.append(
            dict(
                arm=arm.name,
                baseline=arm.baseline,
                base=arm.base,
                input=show_size(arm.input_size),
                input_size=arm.input_size[0],
                output=show_size(arm.output_size),
                resizer_params=costs.resizer.parameters,
                params=costs.total.parameters,
                resizer_gmac=round(costs.resizer.macs / 1e9, 4),
                gmac=round(costs.total.macs / 1e9, 4),
                gmac_paper=round(costs.total.paper_macs / 1e9, 4),
            )
        )
    frame, path = pd.DataFrame(rows), folder / "arms.csv"
    known = _read_table(path) if path.is_file() else None
    baselines = [] if known is None else list(known.arm[known.baseline])
    # Latencies are ratios to the first baseline's.
    if known is not None and baselines[:1] == [spec.baselines[0].name]:
        same = [name for name in _ARM_COLUMNS if not name.endswith("gmac")]
        latency = known[[*same, "latency_ratio", "latency_machine"]]
        frame = frame.merge(latency, how="left")
        frame["latency_machine"] = frame.latency_machine.fillna("")
    else:
        frame["latency_ratio"], frame["latency_machine"] = np.nan, ""
    _write_csv(path, frame)


def measure_latency(spec: Spec, folder: Path) -> None:
    """Measures inference against that of the first baseline, unless it is known.

    Args:
        spec (Spec): The comparison.
        folder (Path): With ``arms.csv``, to which it is added.

    Raises:
        RuntimeError: If the baseline takes longer or shorter than itself, because other
            work shares the machine. Nothing is added then.
    """
    arms = _read_table(folder / "arms.csv")
    if arms.latency_ratio.notna().all():
        return
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    baseline = _prepare_inference(spec.baselines[0], device)
    ratios = {}
    # The baseline first; two models at a time: large ones fill a GPU.
    for arm in sorted(spec.arms, key=lambda arm: arm is not spec.baselines[0]):
        model, images = _prepare_inference(arm, device)
        times = measure_latencies([baseline[0], model], [baseline[1], images])
        ratio = float(np.median([b / a for a, b in times]))
        if arm is spec.baselines[0] and abs(ratio - 1) > _MAX_LATENCY_ERROR:
            raise RuntimeError(
                f"{arm.name} takes {ratio:.2f} times as long as itself: other work "
                "shares this machine; the same command measures it again"
            )
        ratios[arm.name] = round(ratio, 3)
    arms["latency_ratio"] = arms.arm.map(ratios)
    machine = f"{describe_machine(device)}, {torch.get_num_threads()} CPU threads"
    arms["latency_machine"] = machine
    _write_csv(folder / "arms.csv", arms)


def _prepare_inference(arm: Arm, device: str) -> tuple[nn.Module, Tensor]:
    cfg = deepcopy(arm.cfg)
    cfg.model.pop("pretrained", None)  # timm's would be downloaded
    model = build_model(cfg).to(device)
    channels = get_resizer(model).in_channels
    return model, torch.rand(8, channels, *arm.input_size, device=device)


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
    # Or in turns: one further each time.
    indices = [
        min(i * len(dataset) // _NUM_PICTURES + i, len(dataset) - 1)
        for i in range(_NUM_PICTURES)
    ]
    samples = [dataset[i] for i in indices]
    classes = getattr(dataset, "metainfo", {}).get("classes")
    labels = [sample["data_samples"].gt_label.item() for sample in samples]
    titles = [classes[label] for label in labels] if classes else map(str, labels)
    picture = draw_resizers(models, [s["inputs"] for s in samples], list(titles))
    Image.fromarray(picture).save(folder / "resizers.png")


def write_report(folder: Path) -> dict[str, Any]:
    """Makes ``summary.md``, ``summary.json`` and the plots from the tables.

    Args:
        folder (Path): With the tables of a comparison, which may be under way.

    Returns:
        dict[str, Any]: The summary, see :func:`summarize`.

    Raises:
        InputError: If a table is missing or damaged.
    """
    for name in (*_TABLES, _FACTS):
        if not (folder / name).is_file():
            raise InputError(f"{str(folder)!r} has no {name} of a comparison")
    results, runs, arms = (_read_table(folder / name) for name in _TABLES)
    try:
        facts = json.loads((folder / _FACTS).read_text())
    except ValueError as e:
        raise InputError(f"{str(folder / _FACTS)!r} must be JSON ({e})") from e
    try:
        summary = summarize(results, runs, arms, facts)
    except (KeyError, IndexError, TypeError, ValueError) as e:
        if isinstance(e, InputError):
            raise
        raise InputError(
            f"the tables in {str(folder)!r} do not belong together, or are damaged "
            f"({type(e).__name__}: {e})"
        ) from e
    write_atomically(folder / "summary.json", json.dumps(summary, indent=2) + "\n")
    write_atomically(folder / "summary.md", render(summary))
    arms["planned_seeds"] = len(facts["seeds"])
    plot_comparison(results, arms, folder)
    return summary


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
        dict[str, Any]: The facts, and lists "arms", "differences" and "failures",
        "stage1" (its accuracy) and "same_data". Accuracies are in percent. "top1" of an
        arm is [mean, low, high], [value] where one seed has finished, or None.

    Raises:
        InputError: If arms of one input size were validated on different images.
    """
    finished = runs[runs.status == "finished"]
    _check_same_validation(finished, arms)
    correct = {
        (run.arm, run.seed): np.array(list(run.correct)) == "1"
        for run in finished.itertuples()
    }
    rows = []
    for arm in arms.to_dict("records"):
        curves = _curves(results, arm["arm"])
        drops = [worst_drop(curve, facts["warmup_epochs"]) for curve in curves]
        finals = [curve[-1] for curve in curves]
        top1 = finals if len(finals) == 1 else _interval(finals)
        worst = round(max(drops), 4) if drops else None
        first = round(float(np.mean([c[0] for c in curves])), 4) if curves else None
        if np.isnan(arm["latency_ratio"]):
            arm["latency_ratio"] = None
        measured = dict(first_epoch=first, top1=top1, worst_drop=worst)
        rows.append({**arm, "seeds": len(curves), **measured})
    differences = []
    for arm in rows:
        for baseline in rows:
            # In a sweep, baselines of the same pixels.
            same_input = arm["input"] == baseline["input"]
            if not baseline["baseline"] or baseline is arm or not same_input:
                continue
            pair = arm["arm"], baseline["arm"]
            seeds = [s for s in facts["seeds"] if all((n, s) in correct for n in pair)]
            if len(seeds) < MIN_SEEDS:
                continue
            arm_right, baseline_right = (
                np.stack([correct[name, seed] for seed in seeds]) for name in pair
            )
            difference = paired_difference(arm_right, baseline_right)
            differences.append(
                dict(
                    arm=pair[0],
                    baseline=pair[1],
                    seeds=seeds,
                    images=difference.num_images,
                    **_numbers(difference),
                    all_epochs=_difference_over_epochs(results, *pair, seeds),
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


def _difference_over_epochs(
    results: pd.DataFrame, arm: str, baseline: str, seeds: list[int]
) -> list[float] | None:
    """How far an arm is above its baseline on the mean of all epochs, over the seeds.

    It tells a bad start from a good one, which the last epoch may hide, with less noise
    than any single epoch. None if one was trained for longer.
    """
    epochs = results.groupby(["arm", "seed"]).top1
    means, counts = epochs.mean(), epochs.count()
    if any(counts[arm, seed] != counts[baseline, seed] for seed in seeds):
        return None
    return _interval([means[arm, seed] - means[baseline, seed] for seed in seeds])


def _interval(values: list[float]) -> list[float] | None:
    if len(values) < MIN_SEEDS:
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


def _check_same_validation(finished: pd.DataFrame, arms: pd.DataFrame) -> None:
    inputs = dict(zip(arms.arm, arms.input, strict=True))
    seen: dict[str, pd.Series] = {}
    for _, run in finished[finished.arm != STAGE1].iterrows():
        first = seen.setdefault(inputs[run.arm], run)
        if run.val_data != first.val_data:
            raise InputError(
                f"{run.arm!r}, seed {run.seed}, was validated on other images than "
                f"{first.arm!r}, seed {first.seed}, or in another order: such runs "
                "cannot be compared"
            )


def _same_data(finished: pd.DataFrame, arms: pd.DataFrame) -> bool:
    """Whether the arms of a seed and an input size saw the same images, in order."""
    inputs = dict(zip(arms.arm, arms.input, strict=True))
    seen: dict[tuple, str] = {}
    for _, run in finished[finished.arm != STAGE1].iterrows():
        for epoch, data in enumerate(run.data.split()):
            if seen.setdefault((inputs[run.arm], run.seed, epoch), data) != data:
                return False
    return True
