"""Latency of whole models: learned configs against their baselines."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from statistics import median

import torch

from mmresizer.config.building import build_model
from mmresizer.config.loading import load_config
from mmresizer.utils import InputError
from mmresizer.utils.machine import check_device, describe_machine
from mmresizer.utils.tables import show_size, write_csv

from .costs import check_input_size, fixed_input_size
from .dense_costs import take_images_alone
from .timing import measure_latencies


@dataclass
class PairMeasurement:
    """One row of the results: inference of a learned config and of its baseline.

    Attributes:
        baseline_ms (float): Median time of the baseline for one image, in milliseconds.
        ms (float): The same of the learned config.
        ratio (float): Median over the repeats of the second over the first.
        lowest, highest (float): Of these ratios.
    """

    config: str
    input: str
    batch: int
    baseline_ms: float
    ms: float
    ratio: float
    lowest: float
    highest: float
    device: str
    machine: str
    threads: int
    torch: str
    date: str


def benchmark_pairs(
    configs: Sequence[str],
    out: str | None = None,
    batch_size: int = 8,
    device: str = "cpu",
    repeats: int = 7,
) -> list[PairMeasurement]:
    """Measures learned configs and their baselines in turns, in float32.

    Args:
        configs (Sequence[str]): Learned configs; the baseline of each lies beside it.
        out (str, optional): CSV file for the results, written after each pair.
        batch_size (int): Number of images of a batch. Defaults to 8.
        device (str): "cpu" or "cuda".
        repeats (int): Number of batches of each model. Defaults to 7.

    Raises:
        InputError: If a config has no baseline or no fixed input size, ``out`` is no
            CSV file or there is no such device.
    """
    check_device(device)
    if out is not None and Path(out).suffix != ".csv":
        raise InputError(f"--out must be a .csv file, but got {out!r}")
    pairs = [(path, find_baseline(path)) for path in configs]
    rows = []
    for path, baseline in pairs:
        rows.append(_measure(path, baseline, batch_size, device, repeats))
        row = rows[-1]
        print(
            f"{row.config}: {row.baseline_ms:.1f} -> {row.ms:.1f} ms an image, ratio "
            f"{row.ratio:.2f} ({row.lowest:.2f} to {row.highest:.2f})",
            flush=True,
        )
        if out is not None:
            Path(out).parent.mkdir(parents=True, exist_ok=True)
            write_csv(Path(out), list(map(asdict, rows)))
    return rows


def find_baseline(path: str) -> str:
    """Returns the baseline of a learned config, ``bilinear...`` for ``resizer...``.

    Raises:
        InputError: If the config is no learned one or its baseline is missing.
    """
    config = Path(path)
    baseline = config.with_name(re.sub("^resizer(?=(-aa)?x)", "bilinear", config.name))
    if baseline == config or not baseline.is_file():
        raise InputError(
            f"the config {path!r} must be a learned one, resizerx..., with its "
            "baseline bilinearx... beside it"
        )
    return str(baseline)


def _measure(
    path: str, baseline: str, batch_size: int, device: str, repeats: int
) -> PairMeasurement:
    cfg = load_config(path)
    size = fixed_input_size(cfg, path)
    check_input_size(cfg)
    torch.manual_seed(0)
    images = torch.rand(batch_size, 3, *size, device=device)
    models = [build_model(load_config(name)).to(device) for name in (baseline, path)]
    for model in models:
        take_images_alone(model)
    times = measure_latencies(models, [images, images], repeats)
    ratios = [learned / plain for plain, learned in times]
    plain, learned = (1e3 * median(t) / batch_size for t in zip(*times, strict=True))
    return PairMeasurement(
        config=Path(path).stem,
        input=show_size(size),
        batch=batch_size,
        baseline_ms=round(plain, 3),
        ms=round(learned, 3),
        ratio=round(median(ratios), 4),
        lowest=round(min(ratios), 4),
        highest=round(max(ratios), 4),
        device=device,
        machine=describe_machine(device),
        threads=torch.get_num_threads(),
        torch=torch.__version__,
        date=date.today().isoformat(),
    )
