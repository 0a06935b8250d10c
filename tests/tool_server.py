"""Runs the tools in processes that have imported the packages already.

Their imports take most of a small command's time. The server, which is a process of its
own, imports them once and computes nothing; each tool runs in a fork of it.
"""

import multiprocessing
import os
import runpy
import sys
import tempfile
from pathlib import Path

import pytest

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["mmresizer.apis"])


def run_tool(tool, *arguments, environment, cwd, timeout=600):
    """Runs a Python file like ``python FILE ...``; returns (status, output)."""
    arguments = [str(tool), *map(str, arguments)]
    with tempfile.NamedTemporaryFile() as output:
        process = _CONTEXT.Process(
            target=_run, args=(arguments, environment, str(cwd), output.name)
        )
        # The server starts with the first tool: torch reads OMP_NUM_THREADS once.
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            process.start()
        process.join(timeout)
        if process.is_alive():
            process.kill()
            process.join()
            raise TimeoutError(f"{arguments} took more than {timeout} s")
        return process.exitcode, Path(output.name).read_text(errors="surrogateescape")


def _run(arguments, environment, cwd, output):
    with open(output, "wb") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.argv = arguments
    packages = environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:0] = [str(Path(arguments[0]).parent), *filter(None, packages)]
    runpy.run_path(arguments[0], run_name="__main__")
