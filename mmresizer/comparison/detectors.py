"""Detectors against their baseline: average precision, with intervals over seeds."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from torch import Tensor, nn

from mmresizer.analysis.costs import build_model_to_count, fixed_input_size, model_costs
from mmresizer.analysis.timing import measure_latencies
from mmresizer.config.building import build_model
from mmresizer.config.checks import check_data, find_task
from mmresizer.config.loading import load_config
from mmresizer.hub.loading import load_model
from mmresizer.registry import DATASETS
from mmresizer.utils import InputError
from mmresizer.utils.errors import check_int
from mmresizer.utils.files import write_atomically
from mmresizer.utils.tables import make_table, write_csv

from .executors import Executor, LocalExecutor
from .folder import run_folder, work_folder
from .overview import show_difference, show_interval
from .runs import WEIGHTS, Run
from .scheduler import Scheduler
from .statistics import MIN_SEEDS, mean_interval

_METRICS = ("mAP", "mAP_50", "mAP_s", "mAP_m", "mAP_l")
_RECORDED = {name: f"coco/bbox_{name}" for name in _METRICS}
# What CocoMetric has in addition with `classwise=True`, for each class.
_CLASS_AP = "coco/{}_precision"
_CLASS_COLUMN = "mAP of "
_BATCH = 4  # images, for the latency


class DetectorRun(Run):
    """One training run of a detector, validated after the last epoch alone."""

    @property
    def recorder(self) -> dict[str, Any]:
        """Records AP, by size too, and by class if the config's evaluator does."""
        classes = [_CLASS_AP.format("*")] * self.cfg.val_evaluator.get("classwise", 0)
        return dict(
            type="mmresizer.RecordMetricsHook",
            metrics=[*_RECORDED.values(), *classes],
        )

    @property
    def first_validation(self) -> int:
        """The last epoch."""
        return self.epochs

    @property
    def random_seed(self) -> int:
        """The seed itself, with which the published results were trained."""
        return self.seed

    def describe(self, result: dict[str, Any]) -> str:
        """Returns what a finished run has reached, in words."""
        return f"mAP {result[_RECORDED['mAP']]:.3f}"


def compare_detectors(
    configs: Sequence[str],
    work_dir: str,
    seeds: Sequence[int] = (0, 1, 2),
    executor: Executor | None = None,
) -> list[dict[str, Any]]:
    """Trains detectors with several seeds, and compares what they reach at the end.

    Each run is a process of its own. Those that ``work_dir`` has from an earlier call
    are not repeated, unless they failed.

    Args:
        configs (Sequence[str]): Config files; the first one is the baseline.
        work_dir (str): Folder for the runs, ``results.csv`` (a row a run) and
            ``summary.md``.
        seeds (Sequence[int]): At least 2. Defaults to (0, 1, 2).
        executor (Executor, optional): What starts the runs. Defaults to one after the
            other on this machine.

    Returns:
        list[dict[str, Any]]: The rows of ``results.csv``.

    Raises:
        InputError: If a config, the seeds or what ``work_dir`` holds is at fault, or a
            run fails.
    """
    names = [Path(path).stem for path in configs]
    if len(configs) < 2 or len(set(names)) < len(names):
        raise InputError(
            "a comparison needs a baseline and at least one other config, each of a "
            f"name of its own, but got {', '.join(names) or 'none'}"
        )
    if len(set(seeds)) < max(MIN_SEEDS, len(seeds)):
        raise InputError(
            f"an interval needs at least {MIN_SEEDS} seeds, each once, but got "
            f"{list(seeds)}"
        )
    loaded = {name: _load(path) for name, path in zip(names, configs, strict=True)}
    with work_folder(work_dir) as folder:
        return _compare(loaded, folder, seeds, executor or LocalExecutor())


def _compare(
    configs: dict[str, Config], folder: Path, seeds: Sequence[int], executor: Executor
) -> list[dict[str, Any]]:
    runs: list[Run] = [
        DetectorRun(name, seed, run_folder(folder, name, seed), cfg)
        for seed in seeds
        for name, cfg in configs.items()
    ]
    for run in runs:
        run.check()
    ends = Scheduler(runs, executor).train()
    if failed := [
        f"{run.title} ({end['status']}: {end['reason']})"
        for run, end in ends.items()
        if end["status"] != "finished"
    ]:
        raise InputError(
            f"no tables without the runs that did not finish: {', '.join(failed)}; the "
            f"log of each is below {str(folder / 'runs')!r}"
        )
    costs = dict(zip(configs, _measure_costs(runs[: len(configs)]), strict=True))
    rows = [
        {
            "config": name,
            "seed": run.seed,
            **{metric: ends[run][recorded] for metric, recorded in _RECORDED.items()},
            **_class_precisions(ends[run]),
            **costs[name],
            **{key: ends[run][key] for key in ("machine", "date")},
        }
        for name in configs
        for run in runs
        if run.arm == name
    ]
    write_csv(folder / "results.csv", rows)
    write_atomically(folder / "summary.md", summarize(folder / "results.csv"))
    return rows


def _class_precisions(end: Mapping[str, Any]) -> dict[str, float]:
    """Returns what the metrics of a run say about classes, by column of the table."""
    before, after = _CLASS_AP.split("{}")
    return {
        f"{_CLASS_COLUMN}{name.removeprefix(before).removesuffix(after)}": value
        for name, value in end.items()
        if name.startswith(before) and name.endswith(after)
    }


def summarize(path: Path) -> str:
    """Writes ``results.csv`` as a page in Markdown.

    Raises:
        InputError: If the file is no table of this tool.
    """
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        arms: dict[str, dict[int, dict[str, str]]] = {}
        for row in rows:
            arms.setdefault(row["config"], {})[int(row["seed"])] = row
        baseline, *others = arms
        return _render(arms, baseline, others)
    except (OSError, KeyError, ValueError, TypeError) as e:
        raise InputError(
            f"{str(path)!r} is no table of compared detectors ({e})"
        ) from e


def _render(
    arms: dict[str, dict[int, dict[str, str]]], baseline: str, others: Sequence[str]
) -> str:
    def values(name: str, metric: str) -> list[float]:
        return [100 * float(row[metric]) for _, row in sorted(arms[name].items())]

    def difference(name: str, metric: str, to: str = baseline) -> str:
        pairs = zip(values(name, metric), values(to, metric), strict=True)
        return show_difference(mean_interval([ours - theirs for ours, theirs in pairs]))

    # COCO's -1: there are no objects of the size.
    metrics = [name for name in _METRICS if min(values(baseline, name)) >= 0]
    first = next(iter(arms[baseline].values()))
    machines = dict.fromkeys(
        f"{row['machine']}, {row['date']}"
        for runs in arms.values()
        for row in runs.values()
    )
    seeds = ", ".join(map(str, sorted(arms[baseline])))
    names = [metric.replace("_", " ") for metric in metrics]
    rows = []
    for name, runs in arms.items():
        row = next(iter(runs.values()))
        intervals = [mean_interval(values(name, metric)) for metric in metrics]
        rows.append(
            [
                name,
                *(show_interval(list(interval)) for interval in intervals),
                f"{int(row['parameters']):,}",
                f"{float(row['gmac']):.3f} ({float(row['resizer_gmac']):.3f})",
                f"{float(ratio):.2f}" if (ratio := row["latency_ratio"]) else "-",
            ]
        )
    costs = ("parameters", "GMAC (resizer)", "latency ratio")
    classes = [column for column in first if column.startswith(_CLASS_COLUMN)]
    by_class = [
        [name, *(show_interval([*mean_interval(values(name, c))]) for c in classes)]
        for name in arms
    ]
    by_class += [
        [f"{name}, difference", *(difference(name, column) for column in classes)]
        for name in others
    ]
    paired = [
        [name, *(difference(name, metric) for metric in metrics)] for name in others
    ]
    among = [
        [name, *("-" if to == name else difference(name, "mAP", to) for to in others)]
        for name in others
    ]
    return f"""\
# Detectors against their baseline

Box average precision of COCO (%) after the last epoch; no checkpoint is picked. Seeds
{seeds}; mean and 95 % interval by Student's t over the seeds, the images taken as
given. GMAC: 10^9 multiply-accumulates for one image. Latency ratio: median time of
predictions for {_BATCH} validation images, by the weights of the first seed, over the
baseline's, measured in turns.

{make_table(("config", *names, *costs), rows)}

## Differences to {baseline}

In points, paired by seed.

{make_table(("config", *names), paired)}

{_show_others(others, among)}{_show_classes(classes, by_class)}{"; ".join(machines)}.
"""


def _show_others(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Makes a section of the page; it is empty if there is one other config."""
    if len(names) < 2:
        return ""
    return f"""\
## Differences among the others

mAP of the row minus that of the column.

{make_table(("config", *names), rows)}

"""


def _show_classes(classes: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Makes a section of the page; it is empty if no class was measured."""
    if not classes:
        return ""
    names = [column.removeprefix(_CLASS_COLUMN) for column in classes]
    return f"""\
## By class

mAP (%), and the difference to the baseline in points.

{make_table(("config", *names), rows)}

"""


def _load(path: str) -> Config:
    """Loads and checks a config."""
    cfg = load_config(path)
    evaluator = cfg.get("val_evaluator")
    kind = evaluator.get("type") if isinstance(evaluator, dict) else ""
    if not str(getattr(kind, "__name__", kind)).endswith("CocoMetric"):
        raise InputError(
            f"the val_evaluator of {path!r} must be a CocoMetric, but got {evaluator!r}"
        )
    if find_task(cfg) != "detection":
        raise InputError(f"the model of {path!r} must be a ResizerDetector")
    epochs = (cfg.get("train_cfg") or {}).get("max_epochs")
    check_int(f"train_cfg.max_epochs of {path!r}", epochs, 1)
    check_data(cfg, "train_dataloader", "val_dataloader")
    build_model(cfg)
    fixed_input_size(cfg, repr(path))
    return cfg


class _Predictor(nn.Module):
    """Predicts for the same data samples at each call."""

    def __init__(self, detector: nn.Module, samples: list):
        super().__init__()
        self.detector = detector
        self.samples = samples

    def forward(self, images: Tensor) -> list:
        """Returns the predictions for images of shape (N, C, H, W)."""
        return self.detector(images, self.samples, mode="predict")


def _measure_costs(runs: Sequence[Run]) -> list[dict[str, float]]:
    """Counts and times trained models; ratios are to the first one."""
    costs: list[dict[str, float]] = []
    models, batches = [], []
    for run in runs:
        size = fixed_input_size(run.cfg, run.arm)
        resizer, _, _, total = model_costs(build_model_to_count(run.cfg), size)
        costs.append(
            dict(
                parameters=total.parameters,
                gmac=round(total.macs / 1e9, 6),
                resizer_gmac=round(resizer.macs / 1e9, 6),
            )
        )
        model = load_model(run.cfg, str(run.folder / WEIGHTS))
        dataset = DATASETS.build(run.cfg.val_dataloader.dataset)
        batch = pseudo_collate([dataset[i] for i in range(_BATCH)])
        data = model.data_preprocessor(batch)  # type: ignore[operator]
        models.append(_Predictor(model, data["data_samples"]))
        batches.append(data["inputs"])
    times = measure_latencies(models, batches)
    for i, cost in enumerate(costs):
        ratio = median(row[i] / row[0] for row in times)
        cost["latency_ratio"] = round(ratio, 3)
    return costs
