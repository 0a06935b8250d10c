"""Detectors or segmentors against their baseline, with intervals over seeds."""

import csv
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from torch import Tensor, nn

from mmresizer.analysis.costs import build_model_to_count, fixed_input_size, model_costs
from mmresizer.analysis.timing import measure_latencies
from mmresizer.config.building import build_model
from mmresizer.config.checks import check_data, find_task
from mmresizer.config.loading import load_config
from mmresizer.hub.loading import load_model
from mmresizer.registry import DATASETS, get_type_name
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


class _Task(NamedTuple):
    """What is measured of a model for dense prediction.

    Attributes:
        title (str): What the models are.
        model (str): Their class.
        evaluator (str): The class of the evaluator.
        metrics (dict[str, str]): Columns of the table, the main one first, and the
            names that a run records.
        classes (dict[str, str]): What a column of a class begins with, and the name
            that a run records, with ``{}`` for the class.
        factor (int): Of a metric, for percent.
        about (str): What they are, for the page.
    """

    title: str
    model: str
    evaluator: str
    metrics: dict[str, str]
    classes: dict[str, str]
    factor: int
    about: str


_TASKS = {
    "detection": _Task(
        "Detectors",
        "ResizerDetector",
        "CocoMetric",
        {
            name: f"coco/bbox_{name}"
            for name in ("mAP", "mAP_50", "mAP_s", "mAP_m", "mAP_l")
        },
        {"mAP of ": "coco/{}_precision"},  # with `classwise=True`
        100,
        "Box average precision of COCO (%)",
    ),
    "segmentation": _Task(
        "Segmentors",
        "ResizerSegmentor",
        "ClasswiseIoUMetric",
        {name: name for name in ("mIoU", "mBoundaryIoU", "aAcc")},
        {"IoU of ": "IoU/{}", "boundary IoU of ": "boundary_IoU/{}"},
        1,
        "IoU of regions and of boundaries, and the accuracy of pixels (%),",
    ),
}
_BATCH = 4  # images, for the latency


class DenseRun(Run):
    """One training run of a model, validated after the last epoch alone."""

    @property
    def task(self) -> _Task:
        """What is measured."""
        return _find_task(self.cfg)

    @property
    def recorder(self) -> dict[str, Any]:
        """Records the metrics, and those of classes if the config's evaluator does."""
        classes = [name.format("*") for name in self.task.classes.values()]
        evaluator = self.cfg.val_evaluator
        if self.task.evaluator == "CocoMetric" and not evaluator.get("classwise"):
            classes = []  # it measures them on request
        return dict(
            type="mmresizer.RecordMetricsHook",
            metrics=[*self.task.metrics.values(), *classes],
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
        name, recorded = next(iter(self.task.metrics.items()))
        return f"{name} {self.task.factor * result[recorded]:.1f}"


def compare_dense(
    configs: Sequence[str],
    work_dir: str,
    seeds: Sequence[int] = (0, 1, 2),
    executor: Executor | None = None,
) -> list[dict[str, Any]]:
    """Trains models with several seeds, and compares what they reach at the end.

    Each run is a process of its own. Those that ``work_dir`` has from an earlier call
    are not repeated, unless they failed.

    Args:
        configs (Sequence[str]): Config files, of detectors or of segmentors; the first
            one is the baseline.
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
    tasks = {_find_task(cfg).title.lower() for cfg in loaded.values()}
    if len(tasks) > 1:
        raise InputError(
            "all configs must be for the same task, but got "
            f"{' and '.join(sorted(tasks))}"
        )
    with work_folder(work_dir) as folder:
        return _compare(loaded, folder, seeds, executor or LocalExecutor())


def _compare(
    configs: dict[str, Config], folder: Path, seeds: Sequence[int], executor: Executor
) -> list[dict[str, Any]]:
    runs = [
        DenseRun(name, seed, run_folder(folder, name, seed), cfg)
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
            **{name: ends[run][key] for name, key in run.task.metrics.items()},
            **_class_columns(run.task, ends[run]),
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


def _class_columns(task: _Task, end: Mapping[str, Any]) -> dict[str, float]:
    """Returns what the metrics of a run say about classes, by column of the table."""
    columns: dict[str, float] = {}
    for column, recorded in task.classes.items():
        before, after = recorded.split("{}")
        columns |= {
            f"{column}{name.removeprefix(before).removesuffix(after)}": value
            for name, value in end.items()
            if name.startswith(before) and name.endswith(after)
        }
    return columns


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
        raise InputError(f"{str(path)!r} is no table of this tool ({e})") from e


def _render(
    arms: dict[str, dict[int, dict[str, str]]], baseline: str, others: Sequence[str]
) -> str:
    first = next(iter(arms[baseline].values()))
    (task,) = [task for task in _TASKS.values() if task.metrics.keys() <= first.keys()]
    main = next(iter(task.metrics))

    def values(name: str, metric: str) -> list[float]:
        runs = sorted(arms[name].items())
        return [task.factor * float(row[metric]) for _, row in runs]

    def difference(name: str, metric: str, to: str = baseline) -> str:
        pairs = zip(values(name, metric), values(to, metric), strict=True)
        return show_difference(mean_interval([ours - theirs for ours, theirs in pairs]))

    def absolute(name: str, metric: str) -> str:
        return show_interval([*mean_interval(values(name, metric))])

    # COCO's -1: there are no objects of the size.
    metrics = [name for name in task.metrics if min(values(baseline, name)) >= 0]
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
    classes = "".join(
        _show_classes(
            prefix,
            [column for column in first if column.startswith(prefix)],
            [
                *((name, partial(absolute, name)) for name in arms),
                *(
                    (f"{name}, difference", partial(difference, name))
                    for name in others
                ),
            ],
        )
        for prefix in task.classes
    )
    paired = [
        [name, *(difference(name, metric) for metric in metrics)] for name in others
    ]
    among = [
        [name, *("-" if to == name else difference(name, main, to) for to in others)]
        for name in others
    ]
    return f"""\
# {task.title} against their baseline

{task.about} after the last epoch; no checkpoint is picked.
Seeds {seeds}; mean and 95 % interval by Student's t over the seeds, the images taken as
given. GMAC: 10^9 multiply-accumulates for one image. Latency ratio: median time of
predictions for {_BATCH} validation images, by the weights of the first seed, over the
baseline's, measured in turns.

{make_table(("config", *names, *costs), rows)}

## Differences to {baseline}

In points, paired by seed.

{make_table(("config", *names), paired)}

{_show_others(main, others, among)}{classes}{"; ".join(machines)}.
"""


def _show_others(
    metric: str, names: Sequence[str], rows: Sequence[Sequence[str]]
) -> str:
    """Makes a section of the page; it is empty if there is one other config."""
    if len(names) < 2:
        return ""
    return f"""\
## Differences among the others

{metric} of the row minus that of the column.

{make_table(("config", *names), rows)}

"""


def _show_classes(
    prefix: str,
    columns: Sequence[str],
    rows: Sequence[tuple[str, Callable[[str], str]]],
) -> str:
    """Makes a section of the page; it is empty if no class was measured.

    Args:
        prefix (str): What the columns begin with.
        columns (Sequence[str]): The columns of the classes.
        rows (Sequence[tuple[str, Callable[[str], str]]]): The name of each row, and
            what makes the text of a column.
    """
    if not columns:
        return ""
    names = [column.removeprefix(prefix) for column in columns]
    table = [[name, *map(show, columns)] for name, show in rows]
    return f"""\
## By class: {prefix.removesuffix(" of ")}

In percent, and the difference to the baseline in points.

{make_table(("config", *names), table)}

"""


def _find_task(cfg: Config) -> _Task:
    """Returns what is measured of the model of a config.

    Raises:
        InputError: If the model is for another task.
    """
    task = find_task(cfg)
    if task not in _TASKS:
        models = " or ".join(f"a {task.model}" for task in _TASKS.values())
        raise InputError(f"the model of {cfg.filename!r} must be {models}")
    return _TASKS[task]


def _load(path: str) -> Config:
    """Loads and checks a config."""
    cfg = load_config(path)
    task = _find_task(cfg)
    evaluator = cfg.get("val_evaluator")
    kind = get_type_name(evaluator) if isinstance(evaluator, dict) else ""
    if not kind.endswith(task.evaluator):
        raise InputError(
            f"the val_evaluator of {path!r} must be a {task.evaluator}, but got "
            f"{evaluator!r}"
        )
    epochs = (cfg.get("train_cfg") or {}).get("max_epochs")
    check_int(
        f"max_epochs of train_cfg, an EpochBasedTrainLoop, of {path!r}", epochs, 1
    )
    check_data(cfg, "train_dataloader", "val_dataloader")
    build_model(cfg)
    fixed_input_size(cfg, repr(path))
    return cfg


class _Predictor(nn.Module):
    """Predicts for the same data samples at each call."""

    def __init__(self, model: nn.Module, samples: list):
        super().__init__()
        self.model = model
        self.samples = samples

    def forward(self, images: Tensor) -> list:
        """Returns the predictions for images of shape (N, C, H, W)."""
        return self.model(images, self.samples, mode="predict")


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
