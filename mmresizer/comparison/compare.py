"""Trains the arms of a comparison and writes what came out."""

import sys
from functools import partial
from pathlib import Path
from typing import Any

from .executors import Executor
from .folder import run_folder, work_folder
from .report import draw_arms, measure_latency, write_arms, write_report, write_runs
from .runs import STAGE1, Run
from .scheduler import Scheduler
from .spec import Spec


def compare(spec: Spec, work_dir: str, executor: Executor) -> dict[str, Any]:
    """Trains what is not trained yet, and writes tables, summary and plots.

    Stage 1 is trained once for each seed, and each arm from its weights. A run that
    fails is noted with its reason, and the others go on; one that was interrupted, or
    failed for another reason than a loss or score that is not finite, is trained again
    by the next call. The tables are written after each run.

    Args:
        spec (Spec): From :func:`load_spec`.
        work_dir (str): Folder of the comparison.
        executor (Executor): What starts the runs.

    Returns:
        dict[str, Any]: The summary, see :func:`summarize`.

    Raises:
        InputError: If ``work_dir`` is in use, is full, is a file, or holds runs of
            another spec or damaged ones.
        KeyboardInterrupt: If the user interrupts it, or it gets SIGTERM; what goes on
            is ended.
    """
    with work_folder(work_dir) as folder:
        return _compare(spec, folder, executor)


def _compare(spec: Spec, folder: Path, executor: Executor) -> dict[str, Any]:
    runs = plan_runs(spec, folder)
    for run in runs:
        run.check()
    write_arms(spec, folder)
    ends = Scheduler(runs, executor, partial(write_runs, spec, folder)).train()
    write_runs(spec, folder, ends)
    write_report(folder)
    # Whatever goes wrong with these, the results are there.
    for what, finish in (
        ("latency", partial(measure_latency, spec, folder)),
        ("pictures", partial(draw_arms, spec, ends, folder)),
    ):
        try:
            finish()
        except Exception as e:
            kind = "" if type(e) is RuntimeError else f"{type(e).__name__}: "
            print(f"no {what}: {kind}{e}", file=sys.stderr)
    return write_report(folder)


def plan_runs(spec: Spec, folder: Path) -> list[Run]:
    """Returns all training runs of a comparison, in the order of their execution."""
    runs = []
    # Seed by seed: an interrupted comparison has whole seeds.
    for seed in spec.seeds:
        parent = None
        if spec.stage1 is not None:
            where = run_folder(folder, STAGE1, seed)
            parent = Run(STAGE1, seed, where, spec.stage1)
            runs.append(parent)
        for arm in spec.arms:
            where = run_folder(folder, arm.folder, seed)
            run = Run(arm.name, seed, where, arm.cfg, parent, spec.checkpoint)
            runs.append(run)
    return runs
