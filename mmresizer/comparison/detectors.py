"""Detectors against their baseline: average precision, with intervals over seeds."""

import csv
import hashlib
import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

import torch
from filelock import FileLock, Timeout
from mmengine.dataset import pseudo_collate
from torch import Tensor, nn

from mmresizer.analysis.costs import build_model_to_count, input_size, model_costs
from mmresizer.analysis.pair_benchmark import measure_latencies
from mmresizer.apis.testing import evaluate_model
from mmresizer.apis.training import train_model
from mmresizer.config.building import build_model
from mmresizer.config.checks import check_data, find_task
from mmresizer.config.loading import load_config
from mmresizer.models.utils import check_weights, load_checkpoint
from mmresizer.registry import DATASETS
from mmresizer.utils import InputError
from mmresizer.utils.files import write_atomically
from mmresizer.utils.machine import describe_machine
from mmresizer.utils.processes import (
    interrupted_by_sigterm,
    kill_process,
    last_line,
    start_process,
)
from mmresizer.utils.tables import make_table

from .overview import show_difference, show_interval
from .statistics import MIN_SEEDS, mean_interval

_METRICS = ("mAP", "mAP_50", "mAP_s", "mAP_m", "mAP_l")
_COSTS = ("parameters", "gmac", "resizer_gmac", "latency_ratio")
_FIELDS = ("config", "seed", *_METRICS, *_COSTS, "machine", "date")
_BATCH = 4  # images, for the latency


def compare_detectors(
    configs: Sequence[str], work_dir: str, seeds: Sequence[int] = (0, 1, 2)
) -> list[dict[str, Any]]:
    """Trains detectors with several seeds, and compares what they reach at the end.

    Each run is a process of its own. Those that ``work_dir`` has from an earlier call
    are not repeated.

    Args:
        configs (Sequence[str]): Config files; the first one is the baseline.
        work_dir (str): Folder for the runs, ``results.csv`` (a row a run) and
            ``summary.md``.
        seeds (Sequence[int]): At least 2. Defaults to (0, 1, 2).

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
    for path in configs:
        _check(path)
    folder = Path(work_dir)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", blocking=False), interrupted_by_sigterm():
            return _compare(dict(zip(names, configs, strict=True)), folder, seeds)
    except Timeout as e:
        raise InputError(
            f"another process works in --work-dir {work_dir!r}; wait for it, or take "
            "another"
        ) from e


def _compare(
    configs: dict[str, str], folder: Path, seeds: Sequence[int]
) -> list[dict[str, Any]]:
    """Does :func:`compare_detectors` of configs by name."""
    runs = {
        (name, seed): _train(path, seed, folder / name / f"seed_{seed}")
        for seed in seeds
        for name, path in configs.items()
    }
    trained = [folder / name / f"seed_{seeds[0]}" for name in configs]
    measured = _measure_costs([*configs.values()], trained)
    costs = dict(zip(configs, measured, strict=True))
    rows = [
        {"config": name, "seed": seed, **runs[name, seed], **costs[name]}
        for name in configs
        for seed in seeds
    ]
    with (folder / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, _FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    write_atomically(folder / "summary.md", summarize(folder / "results.csv"))
    return rows


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

    def differences(name: str, metric: str) -> list[float]:
        pairs = zip(values(name, metric), values(baseline, metric), strict=True)
        return [ours - theirs for ours, theirs in pairs]

    # COCO's -1: there are no objects of the size.
    metrics = [name for name in _METRICS if min(values(baseline, name)) >= 0]
    first = next(iter(arms[baseline].values()))
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
                f"{float(row['latency_ratio']):.2f}",
            ]
        )
    costs = ("parameters", "GMAC (resizer)", "latency ratio")
    paired = []
    for name in others:
        intervals = [mean_interval(differences(name, metric)) for metric in metrics]
        paired.append([name, *map(show_difference, intervals)])
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

{first["machine"]}, {first["date"]}.
"""


def _check(path: str) -> None:
    cfg = load_config(path)
    evaluator = cfg.get("val_evaluator")
    kind = str(evaluator.get("type")) if isinstance(evaluator, dict) else ""
    if not kind.endswith("CocoMetric"):
        raise InputError(
            f"the val_evaluator of {path!r} must be a CocoMetric, but got {evaluator!r}"
        )
    if find_task(cfg) != "detection":
        raise InputError(f"the model of {path!r} must be a ResizerDetector")
    check_data(cfg, "train_dataloader", "val_dataloader")
    build_model(cfg)


def _fingerprint(cfg: Any, seed: int) -> str:
    settings = json.dumps(cfg.to_dict(), sort_keys=True, default=str)
    return hashlib.sha256(f"{settings} {seed}".encode()).hexdigest()


def _train(path: str, seed: int, folder: Path) -> dict[str, Any]:
    """Trains in a process of its own, if need be; returns what the run has reached."""
    result = folder / "result.json"
    fingerprint = _fingerprint(load_config(path), seed)
    if not result.is_file():
        print(f"{Path(path).stem}, seed {seed}: training", flush=True)
        folder.mkdir(parents=True, exist_ok=True)
        log = folder / "log.txt"
        process = start_process(_train_here, path, seed, folder, log=log)
        try:
            process.join()
        except BaseException:
            kill_process(process)
            raise
        if process.exitcode:
            raise InputError(
                f"the run of {path!r} with seed {seed} failed ({last_line(log)}); its "
                f"log: {log}"
            )
    try:
        found = json.loads(result.read_text())
        origin = found.pop("fingerprint")
    except (ValueError, KeyError, AttributeError) as e:
        raise InputError(
            f"{str(result)!r} is damaged; delete it, and the same command repeats it"
        ) from e
    if origin != fingerprint:
        raise InputError(
            f"{str(folder)!r} holds a run of another config; take another work folder, "
            "or delete that one"
        )
    print(f"{Path(path).stem}, seed {seed}: mAP {found['mAP']:.3f}", flush=True)
    return found


def _train_here(path: str, seed: int, folder: Path) -> None:
    """Trains and evaluates; the process of one run."""
    cfg = load_config(path)
    fingerprint = _fingerprint(cfg, seed)
    cfg.work_dir = str(folder)
    cfg.randomness = {**(cfg.get("randomness") or {}), "seed": seed}
    test = load_config(path)
    test.work_dir = str(folder / "test")
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    train_model(cfg)
    metrics = evaluate_model(test, _last_checkpoint(folder))
    precisions = {name: metrics[f"coco/bbox_{name}"] for name in _METRICS}
    device = "cuda" if torch.cuda.is_available() else "cpu"
    machine = (
        f"{describe_machine(device)} ({torch.get_num_threads()} CPU threads, torch "
        f"{torch.__version__})"
    )
    result = dict(
        **precisions,
        fingerprint=fingerprint,
        machine=machine,
        date=date.today().isoformat(),
    )
    write_atomically(folder / "result.json", json.dumps(result))


class _Predictor(nn.Module):
    """Predicts for the same data samples at each call."""

    def __init__(self, detector: nn.Module, samples: list):
        super().__init__()
        self.detector = detector
        self.samples = samples

    def forward(self, images: Tensor) -> list:
        """Returns the predictions for images of shape (N, C, H, W)."""
        return self.detector(images, self.samples, mode="predict")


def _measure_costs(configs: Sequence[str], folders: Sequence[Path]) -> list[dict]:
    """Counts and times trained models; ratios are to the first one."""
    costs, models, batches = [], [], []
    for path, folder in zip(configs, folders, strict=True):
        cfg = load_config(path)
        size = input_size(cfg)
        if size is None:
            raise InputError(f"the test pipeline of {path!r} must deliver a fixed size")
        resizer, _, _, total = model_costs(build_model_to_count(cfg), size)
        costs.append(
            dict(
                parameters=total.parameters,
                gmac=round(total.macs / 1e9, 6),
                resizer_gmac=round(resizer.macs / 1e9, 6),
            )
        )
        model = build_model(cfg).eval()
        checkpoint = _last_checkpoint(folder)
        check_weights(model, load_checkpoint(checkpoint)["state_dict"], checkpoint)
        dataset = DATASETS.build(cfg.val_dataloader.dataset)
        batch = pseudo_collate([dataset[i] for i in range(_BATCH)])
        data = model.data_preprocessor(batch)  # type: ignore[operator]
        models.append(_Predictor(model, data["data_samples"]))
        batches.append(data["inputs"])
    times = measure_latencies(models, batches)
    ratios = [
        round(median(row[i] / row[0] for row in times), 3) for i in range(len(costs))
    ]
    return [
        {**cost, "latency_ratio": ratio}
        for cost, ratio in zip(costs, ratios, strict=True)
    ]


def _last_checkpoint(folder: Path) -> str:
    saved = Path((folder / "last_checkpoint").read_text().strip())
    return str(folder / saved.name)  # the folder may have been moved
