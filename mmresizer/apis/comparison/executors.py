"""Where the training runs are executed: here one by one, or by Ray."""

import logging
import math
import os
import signal
import subprocess
from typing import Any, Protocol

from mmresizer.utils import InputError

from .runs import LOG, Run


class Executor(Protocol):
    """Starts training runs."""

    def slots(self) -> int:
        """Returns how many runs it takes at a time."""

    def start(self, run: Run) -> Any:
        """Starts a run; returns a handle to it."""

    def poll(self, handle: Any) -> int | None:
        """Returns the exit status of a run, or None as long as it goes on.

        A negative status is the signal that ended it, as in :mod:`subprocess`.
        """

    def stop(self, handle: Any) -> None:
        """Ends a run."""


class LocalExecutor:
    """Executes one run at a time on this machine.

    Args:
        threads (int, optional): CPU threads of a run; by default torch's choice.
    """

    def __init__(self, threads: int | None = None):
        self.threads = threads

    def slots(self) -> int:
        """See :class:`Executor`."""
        return 1

    def start(self, run: Run) -> subprocess.Popen:
        """See :class:`Executor`."""
        return _start(run.prepare(), str(run.folder / LOG), self.threads)

    def poll(self, handle: subprocess.Popen) -> int | None:
        """See :class:`Executor`."""
        return handle.poll()

    def stop(self, handle: subprocess.Popen) -> None:
        """See :class:`Executor`."""
        os.killpg(handle.pid, signal.SIGKILL)  # with the workers that load its data
        handle.wait()


class RayExecutor:
    """Executes all runs by Ray, on this machine or in a cluster.

    The machines of a cluster share the folder of the comparison.

    Args:
        address (str, optional): Of the cluster; without it Ray starts on this machine.
        cpus (int): CPUs, and threads, of a run.
        gpus (float): GPUs of a run; a fraction shares one.

    Raises:
        InputError: If Ray is not installed, or the cluster cannot be reached or has no
            machine for such a run.
    """

    def __init__(self, address: str | None = None, cpus: int = 1, gpus: float = 0):
        try:
            import ray
        except ImportError as e:
            raise InputError("--ray needs the package ray: pip install ray") from e
        self._ray = ray
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except Exception as e:
            reason = " ".join(str(e).split())
            raise InputError(f"cannot reach Ray at {address!r} ({reason})") from e
        self._cpus, self._gpus = cpus, gpus
        if not self.slots():
            ray.shutdown()
            raise InputError(
                f"no machine of Ray has the {cpus} CPUs and {gpus:g} GPUs that a run "
                "is to get (--ray-cpus, --ray-gpus)"
            )
        self._execute = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=0)(
            _execute
        )

    def slots(self) -> int:
        """See :class:`Executor`."""
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        slots: float = 0
        for node in nodes:
            by_gpus = node.get("GPU", 0) // self._gpus if self._gpus else math.inf
            slots += min(node.get("CPU", 0) // self._cpus, by_gpus)
        return int(slots)

    def start(self, run: Run) -> Any:
        """See :class:`Executor`."""
        return self._execute.remote(run.prepare(), str(run.folder / LOG), self._cpus)

    def poll(self, handle: Any) -> int | None:
        """See :class:`Executor`."""
        done, _ = self._ray.wait([handle], timeout=0)
        if not done:
            return None
        try:
            return self._ray.get(handle)
        except self._ray.exceptions.RayError:  # its machine is gone
            return 1

    def stop(self, handle: Any) -> None:
        """See :class:`Executor`."""
        self._ray.cancel(handle, force=True)


def _start(command: list[str], log: str, threads: int | None) -> subprocess.Popen:
    environment = dict(os.environ)
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    with open(log, "wb") as file:
        # A group of its own: Ctrl-C in the terminal is for the comparison to handle.
        return subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _execute(command: list[str], log: str, threads: int) -> int:
    return _start(command, log, threads).wait()
