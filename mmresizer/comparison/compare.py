"""Trains the arms of a comparison and writes what came out."""

import errno
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mmresizer.utils import InputError
from mmresizer.utils.files import make_folder
from mmresizer.utils.processes import interrupted_by_sigterm, last_line

from .executors import Executor
from .progress import ProgressDisplay
from .report import draw_arms, measure_latency, write_arms, write_report, write_runs
from .runs import LOG, STAGE1, Run
from .spec import Spec

_POLL_SECONDS = 0.2
_LATE_POLLS = 50


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
    try:
        folder = make_folder(work_dir).absolute()
        with FileLock(folder / ".lock", blocking=False):
            return _compare(spec, folder, executor)
    except Timeout as e:
        raise InputError(
            f"another process works in --work-dir {work_dir!r}; wait for it, or take "
            "another"
        ) from e
    except OSError as e:
        if e.errno != errno.ENOSPC:
            raise
        raise InputError(
            f"the disk of --work-dir {work_dir!r} is full; make room, and the same "
            "command goes on with the runs that are left"
        ) from e


def _compare(spec: Spec, folder: Path, executor: Executor) -> dict[str, Any]:
    runs = plan_runs(spec, folder)
    for run in runs:
        run.check()
    write_arms(spec, folder)
    with interrupted_by_sigterm():
        ends = _train(runs, executor, partial(write_runs, spec, folder))
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
            where = folder / "runs" / STAGE1 / f"seed{seed}"
            parent = Run(STAGE1, seed, where, spec.stage1)
            runs.append(parent)
        for arm in spec.arms:
            where = folder / "runs" / arm.folder / f"seed{seed}"
            run = Run(arm.name, seed, where, arm.cfg, parent, spec.checkpoint)
            runs.append(run)
    return runs


def _train(
    runs: list[Run],
    executor: Executor,
    save: Callable[[dict[Run, dict[str, Any]]], None],
) -> dict[Run, dict[str, Any]]:
    """Trains what is not trained yet; returns how each run has ended."""
    ends: dict[Run, dict[str, Any]] = {}
    running: dict[Run, Any] = {}
    with ProgressDisplay(runs) as display:

        def end(run: Run, result: dict[str, Any], settled_before: bool = False) -> None:
            ends[run] = result
            display.end(run, result, settled_before)
            if not settled_before:
                save({run: ends[run] for run in runs if run in ends})

        for run in runs:
            if (result := run.settled_result()) is not None:
                end(run, result, settled_before=True)
        waiting = [run for run in runs if run not in ends]
        try:
            while waiting or running:
                slots = executor.slots()
                for run in list(waiting):
                    if len(running) >= slots:
                        break
                    if run.parent is not None and run.parent not in ends:
                        continue
                    waiting.remove(run)
                    try:
                        settled = run.settled_result()
                    except InputError as e:  # its result stays; the others go on
                        end(run, dict(status="failed", reason=str(e)))
                        continue
                    if settled is not None:
                        # Stage 1 was lost, and is again what it was.
                        end(run, settled, settled_before=True)
                        continue
                    parent = ends[run.parent] if run.parent is not None else None
                    if parent is not None and parent["status"] != "finished":
                        reason = f"stage 1 {parent['status']}: {parent['reason']}"
                        # Not noted: its result may be older than a lost stage 1.
                        end(run, dict(status="failed", reason=reason))
                        continue
                    try:
                        handle = executor.start(run)
                    except Exception as e:  # a full disk, say
                        end(run, run.end("failed", f"{type(e).__name__}: {e}"))
                        continue
                    running[run] = handle
                    display.start(run)
                for run, handle in list(running.items()):
                    status = executor.poll(handle)
                    if status is not None:
                        del running[run]
                        end(run, _find_result(run, status))
                display.update()
                time.sleep(_POLL_SECONDS)
        finally:
            for handle in running.values():
                executor.stop(handle)
    return {run: ends[run] for run in runs}


def _find_result(run: Run, status: int | str) -> dict[str, Any]:
    """Returns what the process of a run noted or, if it did not, why it ended."""
    fault = ""
    for _ in range(_LATE_POLLS if status == 0 else 1):
        try:
            if (result := run.result()) is not None:
                return result
        except InputError as e:  # no weights yet
            fault = str(e)
        time.sleep(_POLL_SECONDS)  # a shared folder may show a file late
    if fault:  # its result stays
        return dict(status="failed", reason=fault)
    if isinstance(status, str):
        return run.end("failed", status)
    if status < 0:
        names = {int(known): known.name for known in signal.Signals}
        return run.end("failed", f"ended by {names.get(-status, f'signal {-status}')}")
    return run.end("failed", f"exit status {status}: {last_line(run.folder / LOG)}")
