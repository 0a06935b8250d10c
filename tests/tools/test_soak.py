"""A training whose processes are killed again and again ends as an undisturbed one.

``MMRESIZER_SOAK_KILLS=50`` makes it longer, ``MMRESIZER_SOAK_SEED`` another one.
"""

import json
import os
import random
import signal
import subprocess
import time
import warnings
from collections import Counter
from contextlib import ExitStack, suppress

import psutil
import pytest
import torch
from slurm_cluster import REASON, find_step, slurm_cluster, write_job
from test_preemption import HAVE_STATE, RANDOM, assert_same_end

from conftest import ENVIRONMENT, ROOT, find_processes, wait_until
from mmresizer.models.utils import load_checkpoint

KILLS = int(os.environ.get("MMRESIZER_SOAK_KILLS", "5"))
SECONDS_STOPPED = 30 if KILLS >= 50 else 3
# A launcher that is stopped does not stop the training.
EPOCHS = (6 + SECONDS_STOPPED // 5) * KILLS + 10
SIGNALS = [
    getattr(signal, f"SIG{name}") for name in ("KILL", "TERM", "USR1", "INT", "STOP")
]


def list_loaders(ranks):
    """Returns the processes that load data for those that train."""
    loaders = []
    for rank in ranks:
        with suppress(psutil.NoSuchProcess):
            loaders += rank.children()
    return loaders


class DistTrain:
    """``dist_train.sh`` with two processes."""

    def __init__(self, config, work_dir):
        options = (config, "2", "--work-dir", work_dir, "--deterministic")
        command = ["bash", ROOT / "tools" / "dist_train.sh", *options]
        self._command = [str(word) for word in command]
        self.log = work_dir.with_suffix(".txt")

    def start(self):
        with self.log.open("a") as file:
            self._process = subprocess.Popen(
                self._command,
                env={**ENVIRONMENT, "MAX_RESTARTS": "2"},
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self, seconds):
        """Returns the status, or None if it runs on."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def list_victims(self):
        """Returns all that can be signalled, by kind."""
        try:
            launcher = psutil.Process(self._process.pid)
            ranks = launcher.children()
        except psutil.NoSuchProcess:
            return {}
        return {"torchrun": [launcher], "rank": ranks, "loader": list_loaders(ranks)}


class SlurmStep:
    """All tasks of a job step, which Slurm signals."""

    def __init__(self, job, env):
        self._name, self._env = f"{job}.0", env

    def send_signal(self, number):
        command = ["scancel", f"--signal={number.name}", self._name]
        done = subprocess.run(command, env=self._env, capture_output=True, text=True)
        if done.returncode or done.stderr:
            raise psutil.NoSuchProcess(0, self._name, done.stderr)


class SlurmJob:
    """The batch script of the guide, with two tasks on two nodes."""

    def __init__(self, config, work_dir, cluster):
        self.log = work_dir.with_suffix(".txt")
        self._script, self._work_dir = work_dir.with_suffix(".sh"), work_dir
        write_job(self._script, config, work_dir)
        # No name server knows n1.
        slurm = {"SLURM_CONF": cluster["SLURM_CONF"], "MASTER_ADDR": "127.0.0.1"}
        self._env = {**ENVIRONMENT, **slurm}

    def _call(self, *command):
        return subprocess.check_output(command, env=self._env, text=True).strip()

    def start(self):
        options = ("--parsable", f"--output={self.log}")
        self._job = self._call("sbatch", *options, str(self._script))

    def wait(self, seconds):
        """Returns the status, or None if it runs on, or waits to do so."""
        time.sleep(seconds)
        command = ("squeue", "--noheader", "--states=all", "--format=%T")
        state = self._call(*command, f"--jobs={self._job}")
        over = {"COMPLETED": 0, "FAILED": 1, "CANCELLED": 1, "NODE_FAIL": 1}
        return over.get(state)

    def list_victims(self):
        """Returns all that can be signalled, by kind."""
        found = find_step(self._work_dir)
        step = [SlurmStep(self._job, self._env)] if found["task"] else []
        return {**found, "step": step, "loader": list_loaders(found["task"])}


def disturb(victims, number, rng):
    """Signals a random process; returns its kind, or None if it is gone."""
    kind = rng.choice(sorted(victims))
    if not victims[kind]:
        return None
    victim = rng.choice(victims[kind])
    try:
        victim.send_signal(number)
        if number == signal.SIGSTOP:
            time.sleep(SECONDS_STOPPED)
            victim.send_signal(signal.SIGCONT)
    except psutil.NoSuchProcess:
        return None
    return kind


def read_curve(work_dir):
    """Returns the loss and the rate of all iterations, and the score of all epochs."""
    curve = set()  # those that were trained twice are equal
    for path in work_dir.glob("*/vis_data/scalars.json"):
        for line in path.read_text().splitlines():
            values = json.loads(line)
            for key in ("time", "data_time", "memory"):
                values.pop(key, None)
            curve.add(json.dumps(values, sort_keys=True))
    return curve


def show(folder):
    """Returns the processes that have a folder in their commands, a line each."""
    return "\n".join(" ".join(command) for command in find_processes(str(folder)))


@pytest.fixture
def launchers():
    """Makes the jobs of a training, which take turns."""
    with ExitStack() as stack:
        if REASON:
            warnings.warn(f"without Slurm, which {REASON}", stacklevel=1)
            yield lambda *options: [DistTrain(*options)]
        else:
            cluster = stack.enter_context(slurm_cluster())
            yield lambda *options: [SlurmJob(*options, cluster), DistTrain(*options)]


@pytest.mark.slow
def test_ends_as_an_undisturbed_training(demo_config, launchers, tmp_path):
    begin = time.monotonic()
    changes = {"train_cfg.max_epochs": EPOCHS, "train_dataloader.num_workers": 1}
    config = demo_config(custom_hooks=HAVE_STATE, **{**RANDOM, **changes})
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    undisturbed = DistTrain(config, whole)
    undisturbed.start()
    assert undisturbed.wait(3600) == 0, undisturbed.log.read_text()[-3000:]

    rng = random.Random(int(os.environ.get("MMRESIZER_SOAK_SEED", "0")))
    numbers = SIGNALS * (KILLS // len(SIGNALS)) + SIGNALS[: KILLS % len(SIGNALS)]
    rng.shuffle(numbers)
    jobs = launchers(config, parts)
    done, starts, status = [], 0, 1
    while status != 0:
        job = jobs[starts % len(jobs)]
        assert starts < 3 * KILLS, job.log.read_text()[-3000:]
        starts += 1
        job.start()
        while (status := job.wait(0.2)) is None:
            if numbers and len(job.list_victims().get("loader", [])) >= 2:
                time.sleep(rng.uniform(0, 2.5))
                if what := disturb(job.list_victims(), numbers[-1], rng):
                    done.append(f"{what} {numbers.pop().name}")
                    print(f"{time.monotonic() - begin:5.0f} s: {done[-1]}", flush=True)
                    time.sleep(1)
        # Nothing is left of this start.
        wait_until(lambda: not find_processes(str(parts)), 120, lambda: show(parts))
    minutes = (time.monotonic() - begin) / 60
    print(f"survived {len(done)} in {starts} starts and {minutes:.0f} minutes:")
    print(*(f"{n} {what}" for what, n in sorted(Counter(done).items())), sep=", ")
    last = f"epoch_{EPOCHS}.pth"
    assert_same_end(whole, parts, last)
    assert len(read_curve(whole)) == 2 * EPOCHS  # a loss and a score an epoch
    assert read_curve(parts) == read_curve(whole)
    for path in parts.glob("*.pth"):
        load_checkpoint(str(path))
    assert not [*parts.glob(".*")]  # nothing half written
    saved = torch.load(parts / last, weights_only=False)
    assert saved["meta"]["epoch"] == EPOCHS
    assert not numbers, "the training was too short"
