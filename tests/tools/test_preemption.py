"""Runs that are stopped in the middle of an epoch and go on from there."""

import os
import re
import shutil
import signal
import subprocess

import pytest
import torch

from conftest import ROOT, with_packages
from mmresizer.config.resuming import load_last_checkpoint

# Signals the process of a rank and those that load its data, as a cluster does.
HOOKS = """
import builtins, errno, logging, multiprocessing, os, signal, subprocess, time
import torch
from mmengine.hooks import Hook
from mmresizer.registry import HOOKS

@HOOKS.register_module()
class SignalAt(Hook):
    def __init__(self, iteration, number, rank="0"):
        self.iteration, self.number, self.rank = iteration, number, rank

    def before_train_iter(self, runner, *args, **kwargs):
        is_asked = os.environ.get("RANK", "0") == self.rank
        if is_asked and runner.iter + 1 == self.iteration:
            children = [child.pid for child in multiprocessing.active_children()]
            pids = map(str, (*children, os.getpid()))
            subprocess.run(["kill", f"-{self.number}", *pids], check=True)

@HOOKS.register_module()
class DieInValidation(Hook):
    def __init__(self, epoch):
        self.epoch = epoch

    def after_val_iter(self, runner, *args, **kwargs):
        if runner.epoch == self.epoch:
            os.kill(os.getpid(), 9)

@HOOKS.register_module()
class NoteStatistics(Hook):
    def after_val_epoch(self, runner, metrics=None):
        path = f"{runner.work_dir}/statistics_{os.environ['RANK']}.pth"
        torch.save([*runner.model.buffers()], path)

# As over a network: writing is slow. In the second epoch a call for a file kills the
# process with half of the file written, or fails; then all further ones fail, too.
@HOOKS.register_module()
class FaultyDisk(Hook):
    def __init__(self, seconds=0, call="", file="", fault=""):
        self.seconds, self.call, self.file, self.fault = seconds, call, file, fault
        self.has_failed = False

    def before_train(self, runner):
        self.runner = runner
        os.fsync, os.replace = self.wrap(os.fsync), self.wrap(os.replace)
        builtins.open = self.wrap(open)
        for handler in runner.logger.handlers:
            if isinstance(handler, logging.FileHandler):
                name = handler.baseFilename
                handler.stream.flush = lambda: self.check("flush", name)

    def wrap(self, call):
        def wrapped(target, *args, **kwargs):
            is_number = isinstance(target, int)
            name = os.readlink(f"/proc/self/fd/{target}") if is_number else str(target)
            if self.runner.work_dir in name:
                self.check(call.__name__, name)
            return call(target, *args, **kwargs)
        return wrapped

    def check(self, call, name):
        if call in ("fsync", "replace"):
            time.sleep(self.seconds)
        if self.runner.epoch == 1 and call == self.call and self.file in name:
            if self.fault == "SIGKILL":
                os.truncate(name, os.path.getsize(name) // 2)
                os.kill(os.getpid(), signal.SIGKILL)
            self.has_failed = True
        if self.has_failed:
            number = getattr(errno, self.fault)
            raise OSError(number, os.strerror(number), name)
"""

# All that has a state: random transforms in processes of their own, Mixup, an average
# of the weights, the resizer's optimizer, schedules of iterations and momentum.
RANDOM = {
    "train_cfg.max_epochs": 3,
    "train_dataloader.num_workers": 2,
    "train_dataloader.persistent_workers": True,
    "val_dataloader.num_workers": 1,
    "val_dataloader.persistent_workers": True,
    "train_dataloader.dataset.pipeline": [
        dict(type="RandomFlip", prob=0.5),
        dict(type="RandomCrop", crop_size=96, padding=8),
        dict(type="RandomErasing", erase_prob=0.5),
        dict(type="PackInputs"),
    ],
    "model.train_cfg": dict(augments=dict(type="Mixup", alpha=0.5)),
    "model.head.loss": dict(type="CrossEntropyLoss", use_soft=True),
    "optim_wrapper.optimizer": dict(
        _delete_=True, type="SGD", lr=0.05, momentum=0.9, weight_decay=1e-4
    ),
    "param_scheduler": [
        dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=7),
        dict(type="CosineAnnealingLR", T_max=5, by_epoch=False, begin=7, end=12),
    ],
}
HAVE_STATE = [
    dict(type="EMAHook", momentum=0.1),
    dict(type="mmresizer.ResizerOptimizerHook", lr=1e-3),
]


@pytest.fixture
def make_config(demo_config, tmp_path):
    """Writes a config with hooks; returns its path."""
    (tmp_path / "test_preemption_hooks.py").write_text(HOOKS)

    def make_config(name, *hooks, **changes):
        cfg = {**RANDOM, "custom_hooks": [*HAVE_STATE, *hooks], **changes}
        cfg["custom_imports.imports"] = ["mmresizer", "test_preemption_hooks"]
        return demo_config(name=name, **cfg)

    return make_config


@pytest.fixture
def train(run_tool, tmp_path):
    def train(config, folder, *arguments):
        return run_tool(
            "train.py", config, "--work-dir", tmp_path / folder, "--deterministic",
            *arguments, env=with_packages(tmp_path),
        )  # fmt: skip

    return train


def assert_same(a, b, where=""):
    """All tensors and numbers are equal, to the last bit."""
    assert type(a) is type(b), where
    if isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            assert_same(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), where
        for i, pair in enumerate(zip(a, b, strict=True)):
            assert_same(*pair, f"{where}[{i}]")
    elif isinstance(a, torch.Tensor):
        assert torch.equal(a, b), where
    else:
        assert a == b, where


def assert_same_end(folder, other, last="epoch_3.pth"):
    """Two runs end with the same weights, averages, optimizers and schedules."""
    a, b = (torch.load(path / last, weights_only=False) for path in (folder, other))
    for saved in (a, b):
        saved.pop("meta")
        saved.pop("message_hub")
    assert {"ema_state_dict", "optimizer", "param_schedulers"} < a.keys()
    assert_same(a, b)


def read_scores(output):
    return re.findall(r"Epoch\(val\) \[(\d)\]\[1/1\] +accuracy/top1: ([\d.]+)", output)


def test_goes_on_to_the_last_digit(make_config, train, tmp_path):
    """In the middle of an epoch and at its end, with other processes that load."""
    whole = make_config("whole.py")
    status, output = train(whole, "whole")
    assert status == 0, output
    scores = read_scores(output)
    assert len({score for _, score in scores}) > 1

    def stop(iteration, number):
        return dict(type="mmresizer.SignalAt", iteration=iteration, number=number)

    first = make_config("first.py", stop(6, signal.SIGTERM))
    status, output = train(first, "parts")
    assert status == -signal.SIGTERM, output
    assert re.search(r"Got SIGTERM and saved .*parts/epoch_1_iter_6.pth", output)
    seen = read_scores(output)

    second = make_config("second.py", stop(8, signal.SIGUSR1))
    options = ("--cfg-options", "train_dataloader.num_workers=1")
    status, output = train(second, "parts", "--resume", *options)
    assert status == -signal.SIGUSR1, output
    assert "Epoch(train) [2][4/4]" in output
    names = {path.name for path in (tmp_path / "parts").glob("*.pth")}
    assert names == {"epoch_1.pth", "epoch_1_iter_8.pth"}  # the older one is gone

    status, output = train(whole, "parts", "--resume")
    assert status == 0, output
    assert [*seen, *read_scores(output)] == scores
    assert_same_end(tmp_path / "whole", tmp_path / "parts")
    assert not (tmp_path / "parts" / "epoch_1_iter_8.pth").exists()


@pytest.mark.slow
def test_validates_first_where_a_validation_was_cut(make_config, train, tmp_path):
    """The best checkpoint is the one of an undisturbed run."""
    best = dict(type="CheckpointHook", interval=1, save_best="accuracy/top1")
    whole = make_config("whole.py", **{"default_hooks.checkpoint": best})
    status, output = train(whole, "whole")
    assert status == 0, output
    scores = read_scores(output)
    cut = dict(type="mmresizer.DieInValidation", epoch=2)
    config = make_config("cut.py", cut, **{"default_hooks.checkpoint": best})
    status, first = train(config, "parts")
    assert status == -signal.SIGKILL, first
    # Such a signal may come at once, when the loaders of the validation are there.
    stop = dict(type="mmresizer.SignalAt", iteration=9, number=signal.SIGUSR1)
    config = make_config("stop.py", stop, **{"default_hooks.checkpoint": best})
    status, second = train(config, "parts", "--resume")
    assert status == -signal.SIGUSR1, second
    assert [*read_scores(first), *read_scores(second)] == scores[:2]
    status, output = train(whole, "parts", "--resume")
    assert status == 0, output
    assert read_scores(output) == scores[2:]
    names = [
        {path.name for path in (tmp_path / folder).glob("*.pth")}
        for folder in ("whole", "parts")
    ]
    assert names[0] == names[1]
    assert len(names[0]) == 3  # two that are kept, and the best
    assert_same_end(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.slow
def test_one_process_of_a_job_is_enough(make_config, run, tmp_path):
    """All of them stop behind the same iteration, and go on together."""

    def dist_train(config, folder, *arguments):
        script = ROOT / "tools" / "dist_train.sh"
        options = (config, 2, "--work-dir", tmp_path / folder, "--deterministic")
        return run("bash", script, *options, *arguments, env=with_packages(tmp_path))

    # Each process has two batches an epoch.
    changes = {"train_cfg.max_epochs": 4}
    note = dict(type="mmresizer.NoteStatistics")
    whole = make_config("whole.py", note, **changes)
    status, output = dist_train(whole, "whole")
    assert status == 0, output
    paths = [tmp_path / "whole" / f"statistics_{rank}.pth" for rank in range(2)]
    statistics, others = map(torch.load, paths)
    assert len(statistics) > 0
    assert_same(statistics, others)  # both validate the same model
    stop = dict(type="mmresizer.SignalAt", iteration=2, number=15, rank="1")
    status, output = dist_train(make_config("stop.py", stop, **changes), "parts")
    assert status != 0
    assert "Got SIGTERM and saved" in output
    saved = [path.name for path in (tmp_path / "parts").glob("*_iter_*.pth")]
    assert saved == ["epoch_1_iter_3.pth"]  # they agree at the next iteration
    status, output = dist_train(whole, "parts", "--resume")
    assert status == 0, output
    assert_same_end(tmp_path / "whole", tmp_path / "parts", "epoch_4.pth")


def test_accumulated_gradients_are_used_first(make_config, train, tmp_path):
    stop = dict(type="mmresizer.SignalAt", iteration=1, number=15)
    changes = {"optim_wrapper.accumulative_counts": 3, "train_cfg.max_epochs": 1}
    status, output = train(make_config("stop.py", stop, **changes), "run")
    assert status == -signal.SIGTERM, output
    assert (tmp_path / "run" / "epoch_0_iter_3.pth").is_file()


@pytest.fixture
def small_disk(tmp_path):
    """Mounts a small disk; yields its folder, and what changes its size."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(size, *options):
        name = f"size={size}k"
        command = ["mount", "-t", "tmpfs", "-o", ",".join([*options, name]), "tmpfs"]
        subprocess.run([*command, folder], check=True)

    try:
        mount(1000)
    except subprocess.CalledProcessError:
        pytest.skip("a disk cannot be mounted here")
    yield folder, lambda size, *options: mount(size, "remount", *options)
    subprocess.run(["umount", "--lazy", folder], check=True)


can_mount = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0 or not shutil.which("mount"),
    reason="needs root, to mount a small disk",
)


@pytest.mark.slow
@can_mount
def test_a_full_disk(make_config, train, small_disk, tmp_path):
    """The older checkpoint is kept until the newer one is written."""
    one = {"default_hooks.checkpoint.max_keep_ckpts": 1}
    config = make_config("whole.py", **one)
    status, output = train(config, "whole")
    assert status == 0, output
    assert [p.name for p in (tmp_path / "whole").glob("*.pth")] == ["epoch_3.pth"]
    size = (tmp_path / "whole" / "epoch_3.pth").stat().st_size // 1024

    folder, resize = small_disk
    resize(2 * size - 100)  # for one, and most of another
    status, output = train(config, "disk")
    assert status == 1
    last = output.splitlines()[-1]
    assert (
        last == f"error: the disk of '{folder}/epoch_2.pth' is full; make room and try "
        "again"
    )
    assert "Traceback" not in output
    assert [p.name for p in folder.glob("*.pth")] == ["epoch_1.pth"]
    assert not list(folder.glob(".*.pth*"))

    resize(4 * size)
    status, output = train(config, "disk", "--resume")
    assert status == 0, output
    assert_same_end(folder, tmp_path / "whole")


@can_mount
def test_a_read_only_folder(make_config, train, small_disk):
    """It is told before the training."""
    folder, mount = small_disk
    (folder / "epoch_1.pth").write_text("older")
    mount(1000, "ro")
    status, output = train(make_config("config.py"), "disk")
    assert status == 1
    last = output.splitlines()[-1]
    assert last == f"error: cannot write to {str(folder)!r} (Read-only file system)"
    assert "Traceback" not in output
    assert "Epoch(train)" not in output


@pytest.mark.slow
def test_a_slow_disk_and_a_kill(make_config, train, tmp_path):
    """Half a checkpoint is none, and the older one is there."""
    fault = dict(seconds=1, call="fsync", fault="SIGKILL")
    killed = make_config("killed.py", dict(type="mmresizer.FaultyDisk", **fault))
    status, output = train(killed, "parts")
    assert status == -signal.SIGKILL, output
    parts = tmp_path / "parts"
    assert [path.name for path in parts.glob("*.pth")] == ["epoch_1.pth"]
    half = [*parts.glob(".epoch_2.pth.*")]
    assert len(half) == 1
    assert 0 < half[0].stat().st_size < (parts / "epoch_1.pth").stat().st_size

    slow = make_config("slow.py", dict(type="mmresizer.FaultyDisk", seconds=1))
    status, output = train(slow, "parts", "--resume")
    assert status == 0, output
    assert f"Resume from {parts}/epoch_1.pth" in output
    assert not [*parts.glob(".*")]
    path, checkpoint = load_last_checkpoint(str(parts))
    assert path == f"{parts}/epoch_3.pth"
    assert checkpoint["meta"]["epoch"] == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("call", "file", "fault", "sentence", "last_epoch"),
    [
        ("fsync", "", "EIO", r"cannot write to '{}/epoch_2.pth' \(Input/.+\)", 1),
        ("replace", "", "ESTALE", r"cannot write to '{}/epoch_2.pth' \(Stale .+\)", 1),
        (
            "flush",
            ".log",
            "ESTALE",
            r"\[.+\] Stale file handle: '{}/.+.json'",
            1,
        ),
        ("open", "last_c", "EROFS", r"\[.+\] Read-only .+: '{}/last_checkpoint'", 2),
    ],
)
def test_a_disk_that_fails(
    make_config, train, tmp_path, call, file, fault, sentence, last_epoch
):
    """One sentence says where and why, and the last checkpoint is whole."""
    disk = dict(type="mmresizer.FaultyDisk", call=call, file=file, fault=fault)
    one = {"default_hooks.checkpoint.max_keep_ckpts": 1}
    status, output = train(make_config("fails.py", disk, **one), "run")
    assert status == 1
    run = tmp_path / "run"
    last = output.splitlines()[-1]
    assert re.fullmatch(f"error: {sentence.format(run)}", last), output
    assert "Traceback" not in output
    path, checkpoint = load_last_checkpoint(str(run))
    assert [path] == [str(path) for path in run.glob("*.pth")]
    assert checkpoint["meta"]["epoch"] == last_epoch
    assert not [*run.glob(".*")]
