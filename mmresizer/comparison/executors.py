"""Where the training runs are executed: on this machine, or by Ray."""

import logging
import math
import os
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol

from mmresizer.utils import InputError
from mmresizer.utils.errors import one_line
from mmresizer.utils.processes import kill_process, start_process

from .runs import LOG, Run
from .worker import train_run


class Executor(Protocol):
    """Starts training runs."""

    def slots(self) -> int:
        """Returns how many runs it takes at a time."""

    def start(self, run: Run) -> Any:
        """Starts a run; returns a handle to it."""

    def poll(self, handle: Any) -> int | str | None:
        """Returns the exit status of a run, or None as long as it goes on.

        A negative status is the signal that ended it, as in :mod:`subprocess`; words
        are the reason why it ended without a status.
        """

    def stop(self, handle: Any) -> None:
        """Ends a run."""


class LocalExecutor:
    """Executes runs on this machine.

    Args:
        threads (int, optional): CPU threads of a run; by default torch's choice.
        jobs (int): Runs at a time, which share the cores and the GPU. Defaults to 1.
    """

    def __init__(self, threads: int | None = None, jobs: int = 1):
        self.threads = threads
        self.jobs = jobs

    def slots(self) -> int:
        """See :class:`Executor`."""
        return self.jobs

    def start(self, run: Run) -> BaseProcess:
        """See :class:`Executor`."""
        run.prepare()
        return _start(run.folder, run.fingerprint, self.threads)

    def poll(self, handle: BaseProcess) -> int | None:
        """See :class:`Executor`."""
        return handle.exitcode

    def stop(self, handle: BaseProcess) -> None:
        """See :class:`Executor`."""
        kill_process(handle)


_MAX_LOST_MACHINES = 3


class RayExecutor:
    """Executes runs by Ray, as many at a time as there is room for.

    The machines of a cluster share the folder of the comparison, that of the data and
    the one in which the comparison was started, under the same names. A run whose
    machine fails begins again on another one, at most three times.

    Args:
        address (str): Of the cluster, "auto" for the one that runs here, or "local" to
            start one on this machine for the time being.
        cpus (int): CPUs, and threads, of a run.
        gpus (float, optional): GPUs of a run; a fraction shares one. Defaults to 1
            where there are any.

    Raises:
        InputError: If Ray is not installed, or the cluster cannot be reached or has no
            machine for such a run.
    """

    def __init__(
        self, address: str = "local", cpus: int = 1, gpus: float | None = None
    ):
        try:
            import ray
        except ImportError as e:
            raise InputError("--ray needs the package ray: pip install ray") from e
        self._ray = ray
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except Exception as e:
            raise InputError(f"cannot reach Ray at {address!r} ({one_line(e)})") from e
        if gpus is None:
            gpus = min(1, ray.cluster_resources().get("GPU", 0))
        self._cpus, self._gpus = cpus, gpus
        if not self.slots():
            ray.shutdown()
            raise InputError(
                f"no machine of Ray has the {cpus} CPUs and {gpus:g} GPUs that a run "
                "is to get (--ray-cpus, --ray-gpus)"
            )
        self._execute = ray.remote(
            num_cpus=cpus, num_gpus=gpus, max_retries=_MAX_LOST_MACHINES
        )(_execute)

    def slots(self) -> int:
        """See :class:`Executor`."""
        slots = 0
        for node in self._ray.nodes():
            resources = node["Resources"] if node["Alive"] else {}
            room = resources.get("CPU", 0) // self._cpus
            if self._gpus:
                # Without the margin, a GPU has room for 9 tenths of one.
                by_gpus = resources.get("GPU", 0) / self._gpus + 1e-9
                room = min(room, math.floor(by_gpus))
            slots += int(room)
        return slots

    def start(self, run: Run) -> Any:
        """See :class:`Executor`."""
        run.prepare()
        return self._execute.remote(
            run.folder,
            run.fingerprint,
            self._cpus,
            bool(self._gpus),
            os.environ.get("PYTHONPATH", ""),
            os.getcwd(),
        )

    def poll(self, handle: Any) -> int | str | None:
        """See :class:`Executor`."""
        done, _ = self._ray.wait([handle], timeout=0)
        if not done:
            return None if self.slots() else "no machine of Ray is left for it"
        try:
            return self._ray.get(handle)
        except self._ray.exceptions.RayError as e:  # its machines are gone, say
            return f"{type(e).__name__}: {' '.join(str(e).split())}"

    def stop(self, handle: Any) -> None:
        """See :class:`Executor`."""
        self._ray.cancel(handle, force=True)


def _start(folder: Path, fingerprint: str, threads: int | None) -> BaseProcess:
    return start_process(train_run, folder, fingerprint, threads, log=folder / LOG)


def _execute(
    folder: Path, fingerprint: str, threads: int, cuda: bool, path: str, cwd: str
) -> int:
    """What Ray executes, on whichever machine, in a process that may execute more."""
    if not cuda:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    sys.path[:0] = [
        name for name in path.split(os.pathsep) if name and name not in sys.path
    ]
    os.chdir(cwd)
    process = _start(folder, fingerprint, threads)
    process.join()
    assert process.exitcode is not None
    return process.exitcode
