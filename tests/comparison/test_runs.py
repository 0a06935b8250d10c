"""Runs that an earlier call has left, without training any."""

import json

import pytest
from mmengine.config import Config

from mmresizer.comparison.compare import _find_result, _train
from mmresizer.comparison.runs import STAGE1, Run
from mmresizer.utils import InputError

NUMBERS = dict(top1=[50.0], seconds=1.0)


def make_run(folder, arm=STAGE1, parent=None, checkpoint=None, **settings):
    cfg = Config(dict(train_cfg=dict(max_epochs=1), **settings))
    return Run(arm, 0, folder / arm, cfg, parent, checkpoint)


def finish(run, **digests):
    """Leaves what a run leaves that has finished."""
    result = dict(fingerprint=run.fingerprint, status="finished", reason="")
    run.folder.mkdir(parents=True, exist_ok=True)
    (run.folder / "run.json").write_text(json.dumps(result | NUMBERS | digests))
    (run.folder / "weights.pth").touch()


def test_a_failed_run_is_tried_again_when_its_config_is_mended(tmp_path):
    make_run(tmp_path, lr=1).end("failed", "a reason")
    assert make_run(tmp_path, lr=2).result() is None


@pytest.mark.parametrize("status", ["finished", "diverged"])
def test_refuses_a_run_of_another_config(tmp_path, status):
    make_run(tmp_path, lr=1).end(status)
    with pytest.raises(InputError, match="holds a run of another spec"):
        make_run(tmp_path, lr=2).result()


def test_arms_wait_for_a_stage1_that_failed_when_it_was_trained_again(tmp_path):
    stage1 = make_run(tmp_path)
    arm = make_run(tmp_path, "arm", stage1)
    finish(arm, origin="a", weights="b")
    stage1.end("failed", "ended by SIGKILL")
    assert arm.result() is None
    finish(stage1, origin="", weights="a")
    assert arm.result()["status"] == "finished"


def test_weights_beside_a_given_checkpoint_count(tmp_path):
    """The start is the given one, but a teacher has a file of its own."""
    for name in ("given", "own", "teacher"):
        (tmp_path / name).write_text(name)

    def fingerprint():
        hooks = [dict(type="Hook", checkpoint=str(tmp_path / "teacher"))]
        own, given = str(tmp_path / "own"), str(tmp_path / "given")
        run = make_run(tmp_path, checkpoint=given, load_from=own, custom_hooks=hooks)
        return run.fingerprint

    first = fingerprint()
    (tmp_path / "own").write_text("changed")  # nobody starts from it
    assert fingerprint() == first
    (tmp_path / "teacher").write_text("changed")
    second = fingerprint()
    assert second != first
    (tmp_path / "given").write_text("changed")
    assert fingerprint() not in (first, second)


class Executor:
    """Finishes each run at once, with the same weights; stage 1 may fail."""

    def __init__(self, stage1="finished"):
        self.stage1 = stage1

    def slots(self):
        return 1

    def start(self, run):
        if run.parent is None and self.stage1 != "finished":
            run.end(self.stage1, "a reason")
            return
        parent = run.parent.result()["weights"] if run.parent else ""
        finish(run, origin=parent, weights="new")

    def poll(self, handle):
        return 0


def test_stage1_that_comes_out_different_leaves_other_runs_alone(tmp_path):
    stage1 = make_run(tmp_path)
    kept, fresh = (make_run(tmp_path, name, stage1) for name in ("kept", "fresh"))
    finish(kept, origin="old", weights="b")
    saved = (kept.folder / "run.json").read_bytes()
    ends = _train([stage1, kept, fresh], Executor(), lambda ends: None)
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
    ends = _train([stage1, kept], Executor(status), lambda ends: None)
    assert ends[kept]["reason"] == f"stage 1 {status}: a reason"
    assert (kept.folder / "run.json").read_bytes() == saved
    if status == "failed":  # the next call has more luck
        ends = _train([stage1, kept], Executor(), lambda ends: None)
        assert [end["status"] for end in ends.values()] == ["finished"] * 2
        assert (kept.folder / "run.json").read_bytes() == saved


def test_weights_that_do_not_come_leave_the_result(tmp_path, monkeypatch):
    run = make_run(tmp_path)
    finish(run)
    (run.folder / "weights.pth").unlink()
    saved = (run.folder / "run.json").read_bytes()
    monkeypatch.setattr("time.sleep", lambda _: None)
    assert "weights.pth' is missing" in _find_result(run, 0)["reason"]
    assert (run.folder / "run.json").read_bytes() == saved


def test_weights_may_come_late(tmp_path, monkeypatch):
    run = make_run(tmp_path)
    finish(run)
    (run.folder / "weights.pth").unlink()
    monkeypatch.setattr("time.sleep", lambda _: (run.folder / "weights.pth").touch())
    assert _find_result(run, 0)["status"] == "finished"


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (-9, "ended by SIGKILL"),
        (-40, "ended by signal 40"),  # a real-time signal has no name
        ("the machine is gone", "the machine is gone"),
    ],
)
def test_reason_of_a_run_that_noted_none(tmp_path, status, reason):
    assert _find_result(make_run(tmp_path), status)["reason"] == reason
