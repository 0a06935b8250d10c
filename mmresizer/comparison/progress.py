"""The display of a comparison that is under way."""

import time
from collections import defaultdict
from collections.abc import Sequence
from statistics import mean

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from .runs import Run


class ProgressDisplay:
    """Shows what is done, what goes on and how long the rest will take.

    On a terminal it is live; elsewhere there is a line for each run that ends. Use it
    as a context.

    Args:
        runs (Sequence[Run]): All of the comparison, the settled ones included.
    """

    def __init__(self, runs: Sequence[Run]):
        self.console = Console(highlight=False)
        self._unfinished = list(runs)
        self._num_runs = len(runs)
        self._started: dict[Run, float] = {}
        self._tasks: dict[Run, TaskID] = {}
        self._epoch_seconds: dict[str, list[float]] = defaultdict(list)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[note]}"),
            console=self.console,
        )
        self._epochs = sum(run.epochs for run in runs)
        self._all = self._progress.add_task("all runs", total=self._epochs, note="")

    def __enter__(self) -> "ProgressDisplay":
        """Begins the display."""
        if self.console.is_terminal:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leaves the last state on the screen."""
        self._progress.stop()

    def start(self, run: Run) -> None:
        """A run begins."""
        self._started[run] = time.monotonic()
        self._tasks[run] = self._progress.add_task(run.title, total=run.epochs, note="")

    def end(self, run: Run, result: dict, settled_before: bool = False) -> None:
        """A run has ended, or had when the comparison began."""
        self._unfinished.remove(run)
        if run in self._tasks:
            self._progress.remove_task(self._tasks.pop(run))
        if result["status"] == "finished":
            seconds = result["seconds"]
            # With what a process needs to start.
            whole = seconds
            if run in self._started:
                whole = time.monotonic() - self._started[run]
            self._epoch_seconds[run.arm].append(whole / run.epochs)
            outcome = f"{run.describe(result)}, {seconds:.0f} s"
        else:
            outcome = f"{result['status']}: {result['reason']}"
        if settled_before:
            outcome += " (before)"
        count = self._num_runs - len(self._unfinished)
        note = "" if settled_before else self._time_left()
        # Not rich's markup: a reason may have brackets.
        self.console.print(
            f"[{count}/{self._num_runs}] {run.title}: {outcome}"
            + (f"; {note}" if note else ""),
            markup=False,
            soft_wrap=True,
        )

    def update(self) -> None:
        """Looks at the runs under way."""
        if not self.console.is_terminal:
            return
        done = float(self._epochs - sum(run.epochs for run in self._unfinished))
        for run, task in self._tasks.items():
            completed = run.progress() * run.epochs
            done += completed
            self._progress.update(task, completed=completed)
        self._progress.update(self._all, completed=done, note=self._time_left())

    def _time_left(self) -> str:
        """Estimates by the epochs of the same arm or, before there are, of the others.

        What goes on at the same time is taken to go on so.
        """
        known = {arm: mean(s) for arm, s in self._epoch_seconds.items()}
        if not self._unfinished:
            return ""
        now = time.monotonic()
        for run in self._tasks:
            if run.arm not in known and run.progress() > 0:
                epochs = run.progress() * run.epochs
                known[run.arm] = (now - self._started[run]) / epochs
        if not known:
            return ""
        other = mean(known.values())
        seconds = 0.0
        for run in self._unfinished:
            whole = known.get(run.arm, other) * run.epochs
            part = run.progress() if run in self._tasks else 0.0
            seconds += whole * (1 - part)
        seconds /= max(1, len(self._tasks))
        return f"about {_duration(seconds)} left"


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{seconds:.0f} s"
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes / 60:.1f} h"
