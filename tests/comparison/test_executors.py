"""Processes on this machine; what they do is a stand-in for a training."""

import time

import pytest
from stand_ins import NUMBERS, make_run

from conftest import is_writing, wait_until
from mmresizer.comparison import executors
from mmresizer.comparison.executors import LocalExecutor
from mmresizer.comparison.runs import Run, end_run
from mmresizer.comparison.scheduler import Scheduler


def meet(folder, fingerprint, threads):
    """Ends when the other run has started, too."""
    (folder / "started").touch()
    (other,) = {"a", "b"} - {folder.name}
    wait_until((folder.parent / other / "started").exists)
    (folder / "weights.pth").touch()
    end_run(folder, fingerprint, "finished", threads=threads, **NUMBERS)


def hang(folder, fingerprint, threads):
    time.sleep(3600)


@pytest.fixture
def replace_training(monkeypatch):
    """Has runs call another function, in a folder without a config."""

    def replace_training(function):
        monkeypatch.setattr(executors, "train_run", function)
        monkeypatch.setattr(Run, "prepare", lambda run: run.folder.mkdir())

    return replace_training


def test_one_run_at_a_time_unless_more_are_asked_for():
    assert LocalExecutor().slots() == 1
    assert LocalExecutor(jobs=3).slots() == 3


def test_two_runs_go_on_at_the_same_time(replace_training, tmp_path):
    """Each waits for the other, and both end."""
    replace_training(meet)
    runs = [make_run(tmp_path, name) for name in "ab"]
    executor = LocalExecutor(threads=3, jobs=2)
    ends = Scheduler(runs, executor).train()
    assert [end["status"] for end in ends.values()] == ["finished"] * 2
    assert [end["threads"] for end in ends.values()] == [3, 3]


def test_stops_a_run(replace_training, tmp_path):
    replace_training(hang)
    executor = LocalExecutor()
    run = make_run(tmp_path)
    handle = executor.start(run)
    wait_until(lambda: is_writing(run.folder))
    assert executor.poll(handle) is None
    executor.stop(handle)
    assert executor.poll(handle) == -9
    assert not is_writing(run.folder)
