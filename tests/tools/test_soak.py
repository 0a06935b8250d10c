"""A training whose processes are killed again and again ends as an undisturbed one.

``MMRESIZER_SOAK_KILLS=50`` makes it longer, ``MMRESIZER_SOAK_SEED`` another one.
"""

import os
import random
import signal
import subprocess
import time

import psutil
import pytest
import torch
from test_preemption import HAVE_STATE, RANDOM, assert_same_end

from conftest import ENVIRONMENT, ROOT, find_processes, wait_until
from mmresizer.models.utils import load_checkpoint

KILLS = int(os.environ.get("MMRESIZER_SOAK_KILLS", "6"))
SIGNALS = [
    getattr(signal, f"SIG{name}") for name in ("KILL", "TERM", "USR1", "INT", "STOP")
]


class Job:
    """``dist_train.sh`` with two processes, started anew when it ends in failure."""

    def __init__(self, config, work_dir):
        self.work_dir = work_dir
        options = (config, "2", "--work-dir", work_dir, "--deterministic")
        self.command = ["bash", ROOT / "tools" / "dist_train.sh", *options]
        self.log = work_dir.with_suffix(".txt")
        self.starts = 0

    def start(self):
        self.starts += 1
        with self.log.open("a") as file:
            self.process = subprocess.Popen(
                [str(word) for word in self.command],
                env={**ENVIRONMENT, "MAX_RESTARTS": "2"},
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def list_processes(self):
        """Returns launcher, ranks and processes that load data, by kind."""
        found = {"launcher": [], "rank": [], "loader": []}
        try:
            launcher = psutil.Process(self.process.pid)
            found["launcher"].append(launcher)
            for rank in launcher.children():
                found["rank"].append(rank)
                found["loader"] += rank.children()
        except psutil.NoSuchProcess:
            pass
        return found

    def wait(self, seconds):
        """Returns the status, or None if it runs on."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None


def is_training(job):
    loaders = job.list_processes()["loader"]
    return len(loaders) >= 2


def disturb(job, rng):
    """Signals a random process; returns what was done, or None if it is gone."""
    kind = rng.choice(["launcher", "rank", "rank", "loader"])
    victims = job.list_processes()[kind]
    if not victims:
        return None
    victim, number = rng.choice(victims), rng.choice(SIGNALS)
    try:
        victim.send_signal(number)
        if number == signal.SIGSTOP:
            time.sleep(3)
            victim.send_signal(signal.SIGCONT)
    except psutil.NoSuchProcess:
        return None
    return f"{kind} {number.name}"


@pytest.mark.slow
def test_ends_as_an_undisturbed_training(demo_config, tmp_path):
    epochs = 6 * KILLS + 10
    changes = {"train_cfg.max_epochs": epochs, "train_dataloader.num_workers": 1}
    config = demo_config(custom_hooks=HAVE_STATE, **{**RANDOM, **changes})
    whole = Job(config, tmp_path / "whole")
    whole.start()
    assert whole.wait(1200) == 0, whole.log.read_text()[-3000:]

    rng = random.Random(int(os.environ.get("MMRESIZER_SOAK_SEED", "0")))
    job, done, status = Job(config, tmp_path / "disturbed"), [], 1
    while status != 0:
        assert job.starts < 3 * KILLS, job.log.read_text()[-3000:]
        job.start()
        while (status := job.wait(0.2)) is None:
            if len(done) < KILLS and is_training(job):
                time.sleep(rng.uniform(0, 2.5))
                if what := disturb(job, rng):
                    done.append(what)
                    time.sleep(1)
    print(f"survived {len(done)}: {', '.join(done)}; {job.starts} starts")
    last = f"epoch_{epochs}.pth"
    assert_same_end(whole.work_dir, job.work_dir, last)
    for path in job.work_dir.glob("*.pth"):
        load_checkpoint(str(path))
    assert not [*job.work_dir.glob(".*")]  # nothing half written
    assert (
        torch.load(job.work_dir / last, weights_only=False)["meta"]["epoch"] == epochs
    )
    wait_until(
        lambda: not find_processes(str(tmp_path)),
        30,
        lambda: find_processes(str(tmp_path)),
    )
    assert len(done) == KILLS, "the training was too short"
