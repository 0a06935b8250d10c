"""Processes that do part of a command's work, and end when it does."""

import atexit
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from multiprocessing import forkserver, get_context, resource_tracker
from multiprocessing.process import BaseProcess
from typing import Any
from weakref import WeakSet

import torch


def start_process(
    function: Callable[..., Any], *arguments: Any, log: str | os.PathLike
) -> BaseProcess:
    """Calls a function in a process of its own, which ends when this one does.

    Without CUDA these are forks of a server that imports the package once, which takes
    longer than a small training. CUDA does not work in forks: where it is available,
    each process starts anew. Ctrl-C in the terminal does not reach it, it is for the
    caller to handle.

    Args:
        function (Callable[..., Any]): What to call; on the top level of a module.
        *arguments (Any): Its arguments, which can be pickled.
        log (str | os.PathLike): File for what it prints.

    Returns:
        BaseProcess: The process; an uncaught exception ends it with status 1.

    Raises:
        OSError: If the log cannot be written, or the process not be started.
    """
    open(log, "wb").close()
    loaded = [name for name in sys.modules if name.partition(".")[0] == "mmresizer"]
    multiprocessing.set_forkserver_preload(loaded)
    cuda = torch.cuda.is_available()
    context = get_context("spawn") if cuda else get_context("forkserver")
    process = context.Process(
        target=_call, args=(function, arguments, os.path.abspath(log))
    )
    _processes.add(process)
    # Blocked here, Ctrl-C is so in the server, and in the process until it has a group.
    resource_tracker.ensure_running()  # its start would let it in again
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        try:
            process.start() if cuda else forkserver.ensure_running()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        if not cuda:
            process.start()  # waits for the server's imports
    except BaseException:
        kill_process(process)
        raise
    return process


def kill_process(process: BaseProcess) -> None:
    """Ends what :func:`start_process` has started, and the processes of its group.

    Loaders of data are among them.
    """
    if process.pid is None or process.exitcode not in (None, _LOST):
        return
    with suppress(ProcessLookupError):  # it has no group yet
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.join()


# The status of a process whose server is gone; it may still work.
_LOST = 255
_processes: WeakSet[BaseProcess] = WeakSet()


@atexit.register
def _kill_processes() -> None:
    # multiprocessing would wait for their ends.
    for process in list(_processes):
        kill_process(process)


def _call(function: Callable[..., Any], arguments: tuple, log: str) -> None:
    os.setsid()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=end_with_parent, daemon=True).start()
    multiprocessing.set_start_method(None, force=True)  # mmengine takes its own
    with open(log, "a", buffering=1) as file, redirect_stdout(file):  # line by line
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        function(*arguments)


def end_with_parent() -> None:
    """Waits for the end of the process that started this one, and ends it, too."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


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
