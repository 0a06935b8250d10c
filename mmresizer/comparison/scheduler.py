"""Trains the runs of a comparison, as many at a time as there is room for."""

import signal
import time
from collections.abc import Callable, Sequence
from typing import Any

from mmresizer.utils import InputError
from mmresizer.utils.processes import interrupted_by_sigterm, last_line

from .executors import Executor
from .progress import ProgressDisplay
from .runs import LOG, Run

_POLL_SECONDS = 0.2
_LATE_POLLS = 50

Result = dict[str, Any]


class Scheduler:
    """Trains what is not trained yet.

    A run is waiting, running or ended. It waits for its parent and for a slot of the
    executor. One that fails does not stop the others.

    Args:
        runs (Sequence[Run]): All runs, each behind its parent.
        executor (Executor): What starts the runs.
        save (Callable): Gets how the runs have ended, in order, after each that ends.
    """

    def __init__(
        self,
        runs: Sequence[Run],
        executor: Executor,
        save: Callable[[dict[Run, Result]], None] = lambda ends: None,
    ):
        self._runs, self._executor, self._save = runs, executor, save
        self._display = ProgressDisplay(runs)
        self._waiting = list(runs)
        self._running: dict[Run, Any] = {}  # with the handles of the executor
        self._ended: dict[Run, Result] = {}

    def train(self) -> dict[Run, Result]:
        """Trains, and returns how each run has ended, in order.

        Raises:
            KeyboardInterrupt: If the user interrupts it, or it gets SIGTERM; what goes
                on is ended.
        """
        with interrupted_by_sigterm(), self._display:
            for run in self._runs:
                if (result := run.settled_result()) is not None:
                    self._end(run, result, before=True)
            try:
                while self._waiting or self._running:
                    self._fill_slots()
                    self._collect()
                    self._display.update()
                    time.sleep(_POLL_SECONDS)
            finally:
                for handle in self._running.values():
                    self._executor.stop(handle)
        return self._in_order()

    def _fill_slots(self) -> None:
        slots = self._executor.slots()
        for run in list(self._waiting):
            if len(self._running) >= slots:
                return
            if run.parent is None or run.parent in self._ended:
                self._start(run)

    def _start(self, run: Run) -> None:
        """Starts a run, unless it cannot be or need not be trained."""
        parent = self._ended[run.parent] if run.parent is not None else None
        try:
            settled = run.settled_result()
        except InputError as e:  # its result stays; the others go on
            self._end(run, _failure(str(e)))
            return
        if settled is not None:
            # Stage 1 was lost, and is again what it was.
            self._end(run, settled, before=True)
        elif parent is not None and parent["status"] != "finished":
            # Not noted: its result may be older than a lost stage 1.
            reason = f"stage 1 {parent['status']}: {parent['reason']}"
            self._end(run, _failure(reason))
        else:
            self._execute(run)

    def _execute(self, run: Run) -> None:
        try:
            handle = self._executor.start(run)
        except Exception as e:  # a full disk, say
            self._end(run, run.end("failed", f"{type(e).__name__}: {e}"))
            return
        self._waiting.remove(run)
        self._running[run] = handle
        self._display.start(run)

    def _collect(self) -> None:
        for run, handle in list(self._running.items()):
            status = self._executor.poll(handle)
            if status is not None:
                del self._running[run]
                self._end(run, find_result(run, status))

    def _end(self, run: Run, result: Result, before: bool = False) -> None:
        """Notes how a run has ended, now or in an earlier call."""
        if run in self._waiting:
            self._waiting.remove(run)
        self._ended[run] = result
        self._display.end(run, result, settled_before=before)
        if not before:
            self._save(self._in_order())

    def _in_order(self) -> dict[Run, Result]:
        return {run: self._ended[run] for run in self._runs if run in self._ended}


def find_result(run: Run, status: int | str) -> Result:
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
        return _failure(fault)
    if isinstance(status, str):
        return run.end("failed", status)
    if status < 0:
        names = {int(known): known.name for known in signal.Signals}
        return run.end("failed", f"ended by {names.get(-status, f'signal {-status}')}")
    return run.end("failed", f"exit status {status}: {last_line(run.folder / LOG)}")


def _failure(reason: str) -> Result:
    return dict(status="failed", reason=reason)
