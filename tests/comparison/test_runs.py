"""Runs that an earlier call has left, without training any."""

import signal

import pytest
from mmengine.config import Config
from stand_ins import finish, make_run

from mmresizer.comparison.runs import Run
from mmresizer.utils import InputError


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


@pytest.fixture
def prepare(demo_config, tmp_path):
    """Prepares a run; returns the config that its process reads."""

    def prepare(**changes):
        cfg = Config.fromfile(demo_config("bilinearx4", **changes))
        run = Run("arm", 3, tmp_path / "run", cfg)
        run.prepare()
        return Config.fromfile(run.folder / "config.py")

    return prepare


def test_prepares_what_a_comparison_needs(prepare, tmp_path):
    """A validation after each epoch, one checkpoint of weights, and the record."""
    cfg = prepare(**{"train_cfg.val_interval": 5, "train_cfg.val_begin": 3})
    assert (cfg.train_cfg.val_begin, cfg.train_cfg.val_interval) == (1, 1)
    assert cfg.default_hooks.checkpoint.interval == cfg.train_cfg.max_epochs
    assert cfg.custom_hooks[-1] == dict(
        type="mmresizer.RecordRunHook", out_dir=str(tmp_path / "run")
    )


def test_ctrl_c_is_not_lost_while_a_run_is_prepared(demo_config, tmp_path):
    """mmengine's formatter, which took most of the time, made it a SyntaxError."""
    run = Run("arm", 3, tmp_path / "run", Config.fromfile(demo_config("bilinearx4")))
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    interrupted = 0
    try:
        for delay in range(1, 100):  # in ms, longer than it takes
            signal.setitimer(signal.ITIMER_REAL, delay / 1000)
            try:
                run.prepare()
                signal.setitimer(signal.ITIMER_REAL, 0)
                break
            except KeyboardInterrupt:
                interrupted += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert interrupted
