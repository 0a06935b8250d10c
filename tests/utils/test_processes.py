"""Processes of a command end when it does."""

import os
import signal
import subprocess
import sys

import psutil
import pytest

from conftest import ENVIRONMENT, wait_until
from mmresizer.utils.processes import (
    interrupted_by_sigterm,
    kill_process,
    last_line,
    start_process,
)

PARENT = """
import os, sys, time
from mmresizer.utils.processes import start_process

def announce():
    print(os.getpid())
    time.sleep(600)

if __name__ == "__main__":
    start_process(announce, log=sys.argv[1]).join()
"""


# A process that starts one of its own, as a run starts those that load its data.
GROUP = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
child.wait()
"""


def find_pid(log):
    wait_until(lambda: log.is_file() and log.read_text().endswith("\n"))
    return int(log.read_text())


def is_alive(pid):
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"


@pytest.fixture
def parent(tmp_path):
    """A script that starts a process, in a group of its own, as by a terminal."""
    (tmp_path / "parent.py").write_text(PARENT)
    command = [sys.executable, tmp_path / "parent.py", tmp_path / "log"]
    parent = subprocess.Popen(
        command,
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    yield parent
    parent.kill()
    parent.communicate()


def test_ends_with_its_parent(parent, tmp_path):
    pid = find_pid(tmp_path / "log")
    assert is_alive(pid)
    parent.kill()
    parent.wait()
    wait_until(lambda: not is_alive(pid))


@pytest.mark.parametrize("early", [True, False], ids=["at start", "at work"])
def test_an_interruption_reaches_the_parent_alone(parent, tmp_path, early):
    """Ctrl-C goes to all processes of the group."""
    wait_until(lambda: (tmp_path / "log").is_file())
    pid = None if early else find_pid(tmp_path / "log")
    os.killpg(parent.pid, signal.SIGINT)
    _, errors = parent.communicate(timeout=60)  # it does not wait for the process
    assert errors.count("Traceback") == 1
    assert errors.splitlines()[-1] == "KeyboardInterrupt"
    if pid is not None:
        wait_until(lambda: not is_alive(pid))


def test_kills_a_whole_group(tmp_path):
    command = [sys.executable, "-c", GROUP]
    process = start_process(subprocess.run, command, log=tmp_path / "log")
    pid = find_pid(tmp_path / "log")
    assert is_alive(pid)
    kill_process(process)
    assert process.exitcode == -signal.SIGKILL
    wait_until(lambda: not is_alive(pid))
    kill_process(process)  # it has ended: nothing happens


def test_works_where_its_parent_does(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    process = start_process(subprocess.run, "pwd", log="log")
    process.join()
    assert process.exitcode == 0
    assert (tmp_path / "log").read_text() == f"{tmp_path}\n"


def test_logs_what_it_prints(tmp_path):
    process = start_process(print, "a word", log=tmp_path / "log")
    process.join()
    assert (tmp_path / "log").read_text() == "a word\n"


def test_the_log_ends_with_the_fault(tmp_path):
    process = start_process(os.remove, "absent", log=tmp_path / "log")
    process.join()
    assert process.exitcode == 1
    fault = "FileNotFoundError: [Errno 2] No such file or directory: 'absent'"
    assert last_line(tmp_path / "log") == fault


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
