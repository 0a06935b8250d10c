"""In which order runs are started, and what is kept of each; none is trained."""

import pytest
from stand_ins import Executor, finish, make_run

from mmresizer.comparison.scheduler import Scheduler, find_result


@pytest.fixture(autouse=True)
def no_sleep(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)


def train(runs, executor):
    return Scheduler(runs, executor).train()


def test_stage1_that_comes_out_different_leaves_other_runs_alone(tmp_path):
    stage1 = make_run(tmp_path)
    kept, fresh = (make_run(tmp_path, name, stage1) for name in ("kept", "fresh"))
    finish(kept, origin="old", weights="b")
    saved = (kept.folder / "run.json").read_bytes()
    ends = train([stage1, kept, fresh], Executor())
    assert [end["status"] for end in ends.values()] == [
        "finished",
        "failed",
        "finished",
    ]
    assert "was trained from other weights than those of" in ends[kept]["reason"]
    assert (kept.folder / "run.json").read_bytes() == saved


@pytest.mark.parametrize("status", ["failed", "diverged"])
def test_results_outlive_a_stage1_that_cannot_be_trained_again(tmp_path, status):
    stage1 = make_run(tmp_path)
    kept = make_run(tmp_path, "kept", stage1)
    finish(kept, origin="new", weights="b")
    saved = (kept.folder / "run.json").read_bytes()
    ends = train([stage1, kept], Executor(status))
    assert ends[kept]["reason"] == f"stage 1 {status}: a reason"
    assert (kept.folder / "run.json").read_bytes() == saved
    if status == "failed":  # the next call has more luck
        ends = train([stage1, kept], Executor())
        assert [end["status"] for end in ends.values()] == ["finished"] * 2
        assert (kept.folder / "run.json").read_bytes() == saved


def test_weights_that_do_not_come_leave_the_result(tmp_path, monkeypatch):
    run = make_run(tmp_path)
    finish(run)
    (run.folder / "weights.pth").unlink()
    saved = (run.folder / "run.json").read_bytes()
    monkeypatch.setattr("time.sleep", lambda _: None)
    assert "weights.pth' is missing" in find_result(run, 0)["reason"]
    assert (run.folder / "run.json").read_bytes() == saved


def test_weights_may_come_late(tmp_path, monkeypatch):
    run = make_run(tmp_path)
    finish(run)
    (run.folder / "weights.pth").unlink()
    monkeypatch.setattr("time.sleep", lambda _: (run.folder / "weights.pth").touch())
    assert find_result(run, 0)["status"] == "finished"


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (-9, "ended by SIGKILL"),
        (-40, "ended by signal 40"),  # a real-time signal has no name
        ("the machine is gone", "the machine is gone"),
    ],
)
def test_reason_of_a_run_that_noted_none(tmp_path, status, reason):
    assert find_result(make_run(tmp_path), status)["reason"] == reason


class SlowExecutor(Executor):
    """Runs end in turns, the last one first; notes what happens."""

    def __init__(self, slots):
        super().__init__()
        self.free, self.notes, self.started = slots, [], []

    def slots(self):
        return self.free

    def start(self, run):
        super().start(run)
        self.started.append(run)
        self.notes.append(f"+{run.arm}")
        return run

    def poll(self, run):
        if run is not self.started[-1]:
            return None
        self.started.pop()
        self.notes.append(f"-{run.arm}")
        return 0


@pytest.mark.parametrize(
    ("slots", "notes"),
    [
        (1, "+stage1 -stage1 +a -a +b -b +other -other"),
        # The other one has no stage 1 to wait for.
        (2, "+stage1 +other -other -stage1 +a +b -b -a"),
        (9, "+stage1 +other -other -stage1 +a +b -b -a"),
    ],
)
def test_fills_the_slots_in_order(tmp_path, slots, notes):
    stage1 = make_run(tmp_path)
    runs = [stage1, *(make_run(tmp_path, name, stage1) for name in "ab")]
    runs.append(make_run(tmp_path, "other"))
    executor = SlowExecutor(slots)
    ends = train(runs, executor)
    assert " ".join(executor.notes) == notes
    assert list(ends) == runs


def test_saves_after_each_run_that_was_trained(tmp_path):
    runs = [make_run(tmp_path, name) for name in "abc"]
    finish(runs[1])
    saved = []
    Scheduler(runs, SlowExecutor(2), lambda ends: saved.append(list(ends))).train()
    a, b, c = runs
    assert saved == [[b, c], [a, b, c]]


def test_a_run_that_cannot_be_started_does_not_stop_the_others(tmp_path):
    class FullDisk(Executor):
        def start(self, run):
            if run.arm == "a":
                raise OSError("no space left")
            return super().start(run)

    runs = [make_run(tmp_path, name) for name in "ab"]
    ends = [*train(runs, FullDisk()).values()]
    assert [end["status"] for end in ends] == ["failed", "finished"]
    assert ends[0]["reason"] == "OSError: no space left"
    assert runs[0].result()["status"] == "failed"


def test_an_interruption_stops_what_goes_on(tmp_path):
    stopped = []

    class Interrupted(SlowExecutor):
        def poll(self, run):
            raise KeyboardInterrupt

        def stop(self, run):
            stopped.append(run)

    runs = [make_run(tmp_path, name) for name in "abc"]
    with pytest.raises(KeyboardInterrupt):
        train(runs, Interrupted(2))
    assert stopped == runs[:2]
