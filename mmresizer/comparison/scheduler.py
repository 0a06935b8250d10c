"""Trains the runs of a comparison, as many at a time as there is room for."""

import signal
import time
from collections.abc import Callable
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
        runs (list[Run]): All runs, each behind its parent.
        executor (Executor): What starts the runs.
        save (Callable): Gets how the runs have ended, in order, after each that ends.

    Attributes:
        waiting (list[Run]): What is not started yet.
        running (dict[Run, Any]): The handles of the executor.
        ended (dict[Run, Result]): How each run has ended.
    """

    def __init__(
        self,
        runs: list[Run],
        executor: Executor,
        save: Callable[[dict[Run, Result]], None],
    ):
        self._runs, self._executor, self._save = runs, executor, save
        self._display = ProgressDisplay(runs)
        self.waiting = list(runs)
        self.running: dict[Run, Any] = {}
        self.ended: dict[Run, Result] = {}

    def train(self) -> dict[Run, Result]:
        """Trains, and returns how each run has ended, in order.

        Raises:
            KeyboardInterrupt: If the user interrupts it, or it gets SIGTERM; what goes
                on is ended.
        """
        with interrupted_by_sigterm(), self._display:
            self._skip_settled()
            try:
                while self.waiting or self.running:
                    self._fill_slots()
                    self._collect()
                    self._display.update()
                    time.sleep(_POLL_SECONDS)
            finally:
                for handle in self.running.values():
                    self._executor.stop(handle)
        return self._in_order()

    def _skip_settled(self) -> None:
        for run in self._runs:
            if (result := run.settled_result()) is not None:
                self._skip(run, result)

    def _fill_slots(self) -> None:
        slots = self._executor.slots()
        for run in list(self.waiting):
            if len(self.running) >= slots:
                return
            if run.parent is None or run.parent in self.ended:
                self._start(run)

    def _start(self, run: Run) -> None:
        """Starts a run, unless it cannot be or need not be trained."""
        try:
            settled = run.settled_result()
        except InputError as e:  # its result stays; the others go on
            self._end(run, _failure(str(e)))
            return
        parent = self.ended[run.parent] if run.parent is not None else None
        if settled is not None:
            # Stage 1 was lost, and is again what it was.
            self._skip(run, settled)
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
        self.waiting.remove(run)
        self.running[run] = handle
        self._display.start(run)

    def _collect(self) -> None:
        """Takes in what has ended since the last look."""
        for run, handle in list(self.running.items()):
            status = self._executor.poll(handle)
            if status is not None:
                self._end(run, find_result(run, status))

    def _skip(self, run: Run, result: Result) -> None:
        self.waiting.remove(run)
        self.ended[run] = result
        self._display.end(run, result, settled_before=True)

    def _end(self, run: Run, result: Result) -> None:
        if run in self.running:
            del self.running[run]
        else:
            self.waiting.remove(run)
        self.ended[run] = result
        self._display.end(run, result)
        self._save(self._in_order())

    def _in_order(self) -> dict[Run, Result]:
        return {run: self.ended[run] for run in self._runs if run in self.ended}


def find_result(run: Run, status: int | str) -> Result:
    """Returns what the process of a run noted or, if it did not, why it ended.

    Args:
        run (Run): The run.
        status (int | str): From :meth:`Executor.poll`.
    """
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
