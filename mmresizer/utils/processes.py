"""Processes that do part of a command's work, and end when it does."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress


def start_process(
    command: Sequence[str],
    log: str | os.PathLike,
    environment: Mapping[str, str] | None = None,
    cwd: str | None = None,
) -> subprocess.Popen:
    """Starts a process in a group of its own.

    Ctrl-C in the terminal does not reach it, it is for the caller to handle.

    Args:
        command (Sequence[str]): What to start; it calls :func:`end_with_parent`.
        log (str | os.PathLike): File for what it prints.
        environment (Mapping[str, str], optional): Its environment variables; by default
            those of this process.
        cwd (str, optional): Its working directory; by default this process's.

    Raises:
        OSError: If the log cannot be written, or the process not be started.
    """
    with open(log, "wb") as file:
        return subprocess.Popen(
            command,
            env=environment,
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def kill_process(process: subprocess.Popen) -> None:
    """Ends what :func:`start_process` has started, and the processes of its group.

    Loaders of data are among them.
    """
    with suppress(ProcessLookupError):  # it has just ended
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def end_with_parent() -> None:
    """Ends this process when the one that started it is gone, however it ended."""

    def wait() -> None:
        os.read(0, 1)  # returns when the pipe breaks
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def last_line(log: str | os.PathLike) -> str:
    """Returns what a process printed last, for a message."""
    try:
        with open(log, errors="replace") as file:
            lines = [line.strip() for line in file if line.strip()]
    except FileNotFoundError:
        lines = []
    return lines[-1] if lines else "no output"


@contextmanager
def interrupted_by_sigterm() -> Iterator[None]:
    """Treats SIGTERM, which batch systems send, as Ctrl-C."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
