"""Processes of a command end when it does."""

import signal
import subprocess
import sys
import time

import psutil
import pytest

from mmresizer.utils.processes import (
    interrupted_by_sigterm,
    kill_process,
    last_line,
    start_process,
)

CHILD = """
import os, time
from mmresizer.utils.processes import end_with_parent
end_with_parent()
print(os.getpid(), flush=True)
time.sleep(600)
"""
PARENT = f"""
import sys, time
from mmresizer.utils.processes import start_process
start_process([sys.executable, "-c", {CHILD!r}], sys.argv[1])
time.sleep(600)
"""
# Starts one of its own, as a run starts those that load its data.
GROUP = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
child.wait()
"""


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def find_pid(log):
    wait_for(lambda: log.is_file() and log.read_text().endswith("\n"))
    return int(log.read_text())


def is_alive(pid):
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"


def test_ends_with_its_parent(tmp_path):
    parent = subprocess.Popen([sys.executable, "-c", PARENT, tmp_path / "log"])
    pid = find_pid(tmp_path / "log")
    assert is_alive(pid)
    parent.kill()
    parent.wait()
    wait_for(lambda: not is_alive(pid))


def test_kills_a_whole_group(tmp_path):
    process = start_process([sys.executable, "-c", GROUP], tmp_path / "log")
    pid = find_pid(tmp_path / "log")
    assert is_alive(pid)
    kill_process(process)
    assert process.returncode == -signal.SIGKILL
    wait_for(lambda: not is_alive(pid))
    kill_process(process)  # it has ended: nothing happens


def test_runs_where_and_with_what_it_is_told(tmp_path):
    code = "import os; print(os.getcwd(), os.environ['WORD'])"
    command = [sys.executable, "-c", code]
    process = start_process(
        command, tmp_path / "log", {"WORD": "yes"}, cwd=str(tmp_path)
    )
    assert process.wait() == 0
    assert (tmp_path / "log").read_text() == f"{tmp_path} yes\n"


def test_last_line(tmp_path):
    log = tmp_path / "log"
    assert last_line(log) == "no output"
    log.write_bytes(b"\n \n")
    assert last_line(log) == "no output"
    log.write_bytes(b"first\n  the reason \xff \n\n")
    assert last_line(log) == "the reason \ufffd"


def test_sigterm_is_an_interruption():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), interrupted_by_sigterm():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before
