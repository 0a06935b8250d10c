"""Trains the arms of a comparison and writes what came out."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mmresizer.utils import InputError

from .executors import Executor
from .progress import ProgressDisplay
from .report import draw_arms, write_report, write_tables
from .runs import LOG, STAGE1, Run
from .spec import Spec, file_digest

_POLL_SECONDS = 0.2


def compare(spec: Spec, work_dir: str, executor: Executor) -> str:
    """Trains what is not trained yet, and writes tables, summary and plots.

    Stage 1 is trained once for each seed, and each arm from its weights. A run that
    fails is noted with its reason, and the others go on; one that was interrupted, or
    failed for another reason than a loss that is not finite, is trained again by the
    next call.

    Args:
        spec (Spec): From :func:`load_spec`.
        work_dir (str): Folder of the comparison.
        executor (Executor): What starts the runs.

    Returns:
        str: The summary, in Markdown.

    Raises:
        InputError: If ``work_dir`` is in use, or holds runs of another spec.
        KeyboardInterrupt: If the user interrupts it, or it gets SIGTERM; what goes on
            is ended.
    """
    folder = Path(work_dir).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(blocking=False)
    except Timeout as e:
        raise InputError(
            f"another process works in --work-dir {work_dir!r}; wait for it, or take "
            "another"
        ) from e
    with lock:
        runs = plan_runs(spec, folder)
        for run in runs:
            run.result()  # of another spec? Before anything is trained.
        with _interrupted_by_sigterm():
            ends = _train(runs, executor)
        write_tables(spec, ends, folder)
        draw_arms(spec, ends, folder)
        return write_report(folder)


def plan_runs(spec: Spec, folder: Path) -> list[Run]:
    """Returns all training runs of a comparison, in the order of their execution."""
    digest = file_digest(spec.checkpoint) if spec.checkpoint else ""
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
            run = Run(arm.name, seed, where, arm.cfg, parent, spec.checkpoint, digest)
            runs.append(run)
    return runs


@contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    """Treats SIGTERM, which batch systems send, as Ctrl-C."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _train(runs: list[Run], executor: Executor) -> dict[Run, dict[str, Any]]:
    """Trains what is not trained yet; returns how each run has ended."""
    ends: dict[Run, dict[str, Any]] = {}
    running: dict[Run, Any] = {}
    with ProgressDisplay(runs) as display:

        def end(run: Run, result: dict[str, Any], settled_before: bool = False) -> None:
            ends[run] = result
            display.end(run, result, settled_before)

        for run in runs:
            if (result := run.settled_result()) is not None:
                end(run, result, settled_before=True)
        waiting = [run for run in runs if run not in ends]
        try:
            while waiting or running:
                for run in list(waiting):
                    if len(running) >= executor.slots():
                        break
                    if run.parent is not None and run.parent not in ends:
                        continue
                    waiting.remove(run)
                    parent = ends[run.parent] if run.parent is not None else None
                    if parent is not None and parent["status"] != "finished":
                        reason = f"stage 1 {parent['status']}: {parent['reason']}"
                        end(run, run.end("failed", reason))
                        continue
                    try:
                        handle = executor.start(run)
                    except OSError as e:  # a full disk, say
                        end(run, run.end("failed", str(e)))
                        continue
                    running[run] = handle
                    display.start(run)
                for run, handle in list(running.items()):
                    status = executor.poll(handle)
                    if status is not None:
                        del running[run]
                        end(run, run.result() or _explain(run, status))
                display.update()
                time.sleep(_POLL_SECONDS)
        finally:
            for handle in running.values():
                executor.stop(handle)
    return {run: ends[run] for run in runs}


def _explain(run: Run, status: int) -> dict:
    """Notes why a process ended that has not said it itself."""
    if status < 0:
        reason = f"ended by {signal.Signals(-status).name}"
    else:
        log = run.folder / LOG
        lines = log.read_text(errors="replace").split("\n") if log.is_file() else []
        last = next((line for line in reversed(lines) if line.strip()), "no output")
        reason = f"exit status {status}: {last.strip()}"
    return run.end("failed", reason)
