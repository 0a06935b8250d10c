"""Jobs of a real Slurm, two nodes on this machine, without GPUs."""

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from slurm_cluster import REASON, find_step, slurm_cluster, write_job

from conftest import ROOT, find_processes, wait_until, with_packages

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(REASON), reason=REASON)]


@pytest.fixture(scope="module")
def cluster():
    """The environment of a user."""
    with slurm_cluster() as env:
        yield env


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


def test_a_killed_slurmstepd_ends_the_job(slurm, demo_config, tmp_path):
    """Its task does not train on, unseen, and srun does not wait for it."""
    config, out = demo_config(**{"train_cfg.max_epochs": 1000}), tmp_path / "out"
    arguments = ("slurm_train.sh", str(config), str(out))
    with ThreadPoolExecutor() as pool:
        job = pool.submit(slurm, *arguments, SRUN_ARGS="--wait=5")
        wait_until((out / "epoch_1.pth").exists, 180)
        find_step(out)["slurmstepd"][0].kill()
        status, output = job.result()
    assert status != 0
    assert "lost another process of the job" in output
    wait_until(lambda: not find_processes(str(config)), 30)


def test_a_job_of_the_guide_is_requeued(cluster, demo_config, tmp_path):
    """The batch script of the guide, stopped before its time limit and by Slurm."""
    out = tmp_path / "out"
    epochs = 40
    config = str(demo_config(**{"train_cfg.max_epochs": epochs}))
    write_job(tmp_path / "job.sh", config, out)
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

    def has_resumed(times):
        return show().count("Resume from") == times

    wait_until(lambda: (out / "epoch_2.pth").exists(), 180, show)
    call("scancel", "--signal=USR1", job)  # as --signal does
    wait_until(lambda: has_resumed(1), 240, show)
    trained = len(re.findall(r"Epoch\(train\)", show()))
    wait_until(lambda: len(re.findall(r"Epoch\(train\)", show())) > trained, 180, show)
    call("scontrol", "requeue", job)
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
