"""A real Slurm of two nodes on this machine, without GPUs, and the guide's job."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from conftest import ROOT, find_ports, wait_until

DAEMONS = ("munged", "slurmctld", "slurmd", "srun", "sbatch")
MISSING = [name for name in DAEMONS if shutil.which(name) is None]
# Why there is none; empty if there is.
REASON = (
    f"needs root and Slurm (slurm-wlm, munge); missing: {MISSING}"
    if MISSING or os.geteuid() != 0
    else ""
)

# cred_expire is also how long a requeued job waits, 120 s by default, and bf_interval
# how often the scheduler looks for one.
CONFIG = """
ClusterName=test
SlurmctldHost=localhost
SlurmctldPort={ports[0]}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=15
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
ReturnToService=2
KillWait=15
SchedulerParameters=bf_interval=5
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


@contextmanager
def slurm_cluster():
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

        def ask(*command):
            answer = subprocess.run(command, env=env, capture_output=True, text=True)
            return answer.stdout + answer.stderr

        def show_nodes():
            return ask("sinfo", "--noheader", "--format=%T %N")

        try:
            for command in (
                ["munged", "--force", *munge],
                ["slurmctld", "-c"],
                ["slurmd", "-N", "n1"],
                ["slurmd", "-N", "n2"],
            ):
                subprocess.run(command, env=env, check=True, capture_output=True)
            wait_until(lambda: show_nodes() == "idle n[1-2]\n", 30, show_nodes)
            yield env
            ask("scancel", "--user=root")  # jobs of tests that failed
            wait_until(lambda: ask("squeue", "--noheader") == "", 90)
        finally:
            for file in folder.glob("*.pid"):
                pid = int(file.read_text())
                os.kill(pid, signal.SIGTERM)
                wait_until(
                    lambda pid=pid: not psutil.pid_exists(pid),
                    20,
                    lambda file=file: f"{file}",
                )


def write_job(path, config, out):
    """Writes the batch script of the guide, for two nodes of this cluster."""
    guide = (ROOT / "docs" / "guides" / "clusters.md").read_text()
    script = re.search(r"```bash\n(#!/bin/bash\n.*?)```", guide, re.DOTALL).group(1)
    for old, new in (
        ("--partition=gpus", "--partition=cpu"),
        ("--ntasks=8", "--ntasks=2"),
        ("--ntasks-per-node=8", "--ntasks-per-node=1"),
        ("--cpus-per-task=5", "--cpus-per-task=2"),
        ("#SBATCH --gres=gpu:8\n", ""),
        ("config.py", str(config)),
        ("work_dirs/config", str(out)),
        ("python tools/", f"{sys.executable} {ROOT}/tools/"),
        ("--launcher", "--deterministic --launcher"),
        ("--wait=300", "--wait=15"),
    ):
        assert old in script, old
        script = script.replace(old, new)
    path.write_text(script)


def find_step(work_dir):
    """Returns the processes of the job step of a training, by kind."""
    found = {"srun": [], "slurmstepd": [], "task": []}
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess):
            if str(work_dir) not in process.cmdline():
                continue
            parent = process.parent()
            if process.name() == "srun":
                found["srun"].append(process)
            elif parent and parent.name() == "slurmstepd":
                found["task"].append(process)
                found["slurmstepd"].append(parent)
    return found
