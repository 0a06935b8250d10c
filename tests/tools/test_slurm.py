"""Jobs of a real Slurm, two nodes on this machine, without GPUs."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest
import torch

from conftest import ROOT, find_ports, find_processes, wait_until, with_packages

DAEMONS = ("munged", "slurmctld", "slurmd", "srun", "sbatch")
MISSING = [name for name in DAEMONS if shutil.which(name) is None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(MISSING) or os.geteuid() != 0,
        reason=f"needs root and Slurm (slurm-wlm, munge); missing: {MISSING}",
    ),
]

CONFIG = """
ClusterName=test
SlurmctldHost=localhost
SlurmctldPort={ports[0]}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
JobRequeue=1
MinJobAge=300
SlurmdParameters=config_overrides
NodeName=n1 NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[1]} CPUs=4
NodeName=n2 NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[2]} CPUs=4
PartitionName=cpu Nodes=n[1-2] Default=YES MaxTime=INFINITE State=UP
"""


@pytest.fixture(scope="module")
def cluster():
    """Starts the daemons; yields the environment of a user, and ends them by pid."""
    # A socket's path has to be short.
    with tempfile.TemporaryDirectory(prefix="slurm-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "state").mkdir()
        (folder / "key").write_bytes(os.urandom(1024))
        (folder / "key").chmod(0o600)
        (folder / "slurm.conf").write_text(
            CONFIG.format(folder=folder, ports=find_ports(3))
        )
        env = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
        names = ("key", "socket", "pid", "log", "seed")
        files = [folder / "key", *(folder / f"munge.{name}" for name in names[1:])]
        options = ["--key-file", "--socket", "--pid-file", "--log-file", "--seed-file"]
        munge = [f"{o}={f}" for o, f in zip(options, files, strict=True)]
        try:
            for command in (
                ["munged", "--force", *munge],
                ["slurmctld", "-c"],
                ["slurmd", "-N", "n1"],
                ["slurmd", "-N", "n2"],
            ):
                subprocess.run(command, env=env, check=True, capture_output=True)

            def show_nodes():
                command = ["sinfo", "--noheader", "--format=%T %N"]
                answer = subprocess.run(
                    command, env=env, capture_output=True, text=True
                )
                return answer.stdout + answer.stderr

            wait_until(lambda: show_nodes() == "idle n[1-2]\n", 30, show_nodes)
            yield env
        finally:
            for file in folder.glob("*.pid"):
                pid = int(file.read_text())
                os.kill(pid, signal.SIGTERM)
                wait_until(
                    lambda pid=pid: not psutil.pid_exists(pid),
                    20,
                    lambda file=file: f"{file}",
                )


@pytest.fixture
def slurm(cluster, run, tmp_path):
    """Runs a script of tools/ with two tasks on two nodes; returns (status, output)."""

    def slurm(script, *arguments, **env):
        settings = {
            "SLURM_CONF": cluster["SLURM_CONF"],
            "MASTER_ADDR": "127.0.0.1",  # no name server knows n1
            "GRES": "",
            "GPUS": "2",
            "GPUS_PER_NODE": "1",
            "CPUS_PER_TASK": "1",
        }
        env = {**with_packages(tmp_path), **settings, **env}
        return run("bash", ROOT / "tools" / script, "cpu", "job", *arguments, env=env)

    return slurm


def load_weights(path):
    return torch.load(path, weights_only=False)["state_dict"]


def test_trains_and_tests_as_dist_train_does(slurm, run, demo_config, tmp_path):
    """To the last digit, and as many processes."""
    config = str(demo_config())
    out = str(tmp_path / "slurm")
    status, output = slurm("slurm_train.sh", config, out)
    assert status == 0, output
    assert "GPU number: 2" in output  # mmengine's word for processes
    status, output = run(
        "bash", ROOT / "tools" / "dist_train.sh", config, 2, "--work-dir",
        tmp_path / "dist", env={**with_packages(tmp_path), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert status == 0, output
    weights, expected = (
        load_weights(tmp_path / name / "epoch_2.pth") for name in ("slurm", "dist")
    )
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    checkpoint = f"{out}/epoch_2.pth"
    status, output = slurm("slurm_test.sh", config, checkpoint, "--work-dir", out)
    assert status == 0, output
    found = re.findall(r"accuracy/top1: ([0-9.]+)", output)
    status, output = run(
        sys.executable, ROOT / "tools" / "test.py", config, checkpoint,
        "--work-dir", tmp_path / "one", env=with_packages(tmp_path),
    )  # fmt: skip
    assert status == 0, output
    assert found == re.findall(r"accuracy/top1: ([0-9.]+)", output) != []
    assert not find_processes(config)


def test_a_fault_ends_the_job(slurm, demo_config, tmp_path):
    config = str(demo_config(**{"model.head.num_classes": 5}))
    status, output = slurm("slurm_train.sh", config, str(tmp_path / "out"))
    assert status != 0
    assert "Traceback" not in output
    assert re.search(r"error: .*num_classes", output), output
    assert not find_processes(config)


def test_a_job_of_the_guide_is_requeued(cluster, demo_config, tmp_path):
    """The batch script of the guide, stopped before its time limit and by Slurm."""
    guide = (ROOT / "docs" / "guides" / "clusters.md").read_text()
    script = re.search(r"```bash\n(#!/bin/bash\n.*?)```", guide, re.DOTALL).group(1)
    out = tmp_path / "out"
    epochs = 40
    config = str(demo_config(**{"train_cfg.max_epochs": epochs}))
    for old, new in (
        ("--partition=gpus", "--partition=cpu"),
        ("--ntasks=8", "--ntasks=2"),
        ("--ntasks-per-node=8", "--ntasks-per-node=1"),
        ("--cpus-per-task=5", "--cpus-per-task=2"),
        ("#SBATCH --gres=gpu:8\n", ""),
        ("config.py", config),
        ("work_dirs/config", str(out)),
        ("python tools/", f"{sys.executable} {ROOT}/tools/"),
    ):
        assert old in script, old
        script = script.replace(old, new)
    (tmp_path / "job.sh").write_text(script)
    env = {**cluster, **with_packages(tmp_path), "MASTER_ADDR": "127.0.0.1"}

    def call(*command):
        return subprocess.run(
            command, env=env, cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout

    job = call("sbatch", "--parsable", "job.sh").strip()
    log = tmp_path / f"slurm-{job}.out"

    def show():
        text = log.read_text() if log.exists() else ""
        return text + call("scontrol", "show", "job", job) + call("sinfo", "-N", "-l")

    def hurry():
        """By itself Slurm waits for two minutes. At once, it refuses a stopped job."""
        state = ("scontrol", "show", "job", job)
        wait_until(lambda: "Reason=BeginTime" in call(*state), 60, show)
        call("scontrol", "update", f"JobId={job}", "StartTime=now+5")

    def has_resumed(times):
        return show().count("Resume from") == times

    wait_until(lambda: (out / "epoch_2.pth").exists(), 180, show)
    call("scancel", "--signal=USR1", job)  # as --signal does
    hurry()
    wait_until(lambda: has_resumed(1), 240, show)
    trained = len(re.findall(r"Epoch\(train\)", show()))
    wait_until(lambda: len(re.findall(r"Epoch\(train\)", show())) > trained, 180, show)
    call("scontrol", "requeue", job)
    hurry()
    wait_until(lambda: has_resumed(2), 240, show)
    wait_until(lambda: "COMPLETED" in call("scontrol", "show", "job", job), 300, show)
    text = log.read_text()
    saved = re.findall(r"Got (\w+) and saved (\S+epoch_\d+_iter_\d+.pth);", text)
    assert [name for name, _ in saved] == ["SIGUSR1", "SIGTERM"]
    assert re.findall(r"Resume from (\S+)", text) == [path for _, path in saved]
    validated = [int(n) for n in re.findall(r"Epoch\(val\) \[(\d+)\]", text)]
    assert validated == [*range(1, epochs + 1)]
    last = torch.load(out / f"epoch_{epochs}.pth", weights_only=False)
    assert last["meta"]["iter"] == 2 * epochs
    assert not find_processes(config)
