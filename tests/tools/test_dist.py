"""Jobs of several processes, on the CPU, started by the shell scripts."""

import os
import re
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch

from conftest import ENVIRONMENT, ROOT, find_ports, kill_tree, wait_until, with_packages

# Imported by the configs below: what the tests need to happen inside the processes.
HOOKS = """
import os, signal
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmresizer.registry import HOOKS
from mmresizer.utils import InputError
from torch.nn.modules.batchnorm import _BatchNorm

@HOOKS.register_module()
class EvalNorms(Hook):
    def before_train_iter(self, runner, *args, **kwargs):
        for m in runner.model.modules():
            if isinstance(m, _BatchNorm):
                m.eval()

@HOOKS.register_module()
class KillOneWorker(Hook):
    def before_train_iter(self, runner, *args, **kwargs):
        is_first = os.environ.get("TORCHELASTIC_RESTART_COUNT") == "0"
        is_chosen = is_first and os.environ["RANK"] == "1"
        if is_chosen and runner.epoch == 1 and runner.iter == 3:
            os.kill(os.getpid(), signal.SIGKILL)

@HOOKS.register_module()
class FaultOnRankOne(Hook):
    def before_train_iter(self, runner, *args, **kwargs):
        if os.environ["RANK"] == "1":
            raise InputError("cannot load the image 'x.jpg'")
"""


@pytest.fixture
def port():
    return str(*find_ports(1))


@pytest.fixture
def hooks(tmp_path):
    (tmp_path / "test_dist_hooks.py").write_text(HOOKS)
    return {"custom_imports.imports": ["mmresizer", "test_dist_hooks"]}


@pytest.fixture
def dist(run, tmp_path):
    """Runs a script of tools/; returns (status, output)."""

    def dist(script, *arguments, **env):
        env = {**with_packages(tmp_path), **env}
        return run("bash", ROOT / "tools" / script, *arguments, env=env)

    return dist


@pytest.fixture
def one_step(demo_config, hooks, save_weights):
    """A config of one step of SGD at lr 1 from fixed weights, with norms in eval mode.

    The weights before and after differ by the gradient.
    """
    from mmengine.config import Config

    def one_step(batch_size):
        config = demo_config(
            name=f"batch_{batch_size}.py",
            optim_wrapper=dict(_delete_=True, optimizer=dict(type="SGD", lr=1.0)),
            param_scheduler=None,
            custom_hooks=[dict(type="mmresizer.EvalNorms")],
            **hooks,
            **{
                "train_dataloader.dataset.num_samples": 8,
                "train_dataloader.batch_size": batch_size,
                "train_dataloader.sampler.shuffle": False,
                "train_cfg.max_epochs": 1,
            },
        )
        cfg = Config.fromfile(config, import_custom_modules=False)
        model_cfg = cfg.model.to_dict()
        for part in ("backbone", "neck", "head"):
            model_cfg[part]["type"] = "mmpretrain." + model_cfg[part]["type"]
        _, weights = save_weights(model_cfg)
        cfg.load_from = str(weights)
        cfg.dump(config)
        return config, torch.load(weights)["state_dict"]

    return one_step


def gradients(before, path):
    after = torch.load(path, weights_only=False)["state_dict"]
    gradients = {
        name: before[name] - after[name]
        for name in before
        if name.rsplit(".", 1)[1] in ("weight", "bias")
    }
    assert max(g.abs().max() for g in gradients.values()) > 1e-3
    return gradients


def assert_same_gradients(actual, expected):
    assert actual.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(
            actual[name], gradient, rtol=1e-5, atol=1e-5, msg=lambda m, n=name: n + m
        )


@pytest.mark.slow
def test_two_processes_equal_the_doubled_batch(dist, run_tool, one_step, tmp_path):
    """The same gradients as one process with all the images."""
    config, before = one_step(8)
    status, output = run_tool(
        "train.py", config, "--work-dir", tmp_path / "single",
        env=with_packages(tmp_path),
    )  # fmt: skip
    assert status == 0, output
    expected = gradients(before, tmp_path / "single" / "epoch_1.pth")

    config, _ = one_step(4)
    status, output = dist("dist_train.sh", config, 2, "--work-dir", tmp_path / "pair")
    assert status == 0, output
    assert_same_gradients(
        gradients(before, tmp_path / "pair" / "epoch_1.pth"), expected
    )


@pytest.mark.slow
def test_any_number_of_processes_trains_alike(
    dist, run_tool, demo_config, hooks, tmp_path
):
    """With accumulated gradients, averaged weights and an optimizer of the resizer."""
    ends = []
    for processes in (1, 2, 4):
        config = demo_config(
            name=f"{processes}.py",
            custom_hooks=[
                dict(type="mmresizer.EvalNorms"),
                dict(type="EMAHook", momentum=0.2),
                # Not Adam, whose first steps have one length for all gradients.
                dict(type="mmresizer.ResizerOptimizerHook", lr=0.1, optimizer="SGD"),
            ],
            optim_wrapper=dict(
                _delete_=True,
                optimizer=dict(type="SGD", lr=0.5, momentum=0.9),
                accumulative_counts=2,
                clip_grad=dict(max_norm=1.0),
            ),
            **hooks,
            **{
                "train_dataloader.batch_size": 8 // processes,
                "train_dataloader.num_workers": 0,
            },
        )
        arguments = ("--work-dir", tmp_path / str(processes))
        if processes == 1:
            env = with_packages(tmp_path)
            status, output = run_tool("train.py", config, *arguments, env=env)
        else:
            status, output = dist("dist_train.sh", config, processes, *arguments)
        assert status == 0, output
        path = tmp_path / str(processes) / "epoch_2.pth"
        ends.append(torch.load(path, weights_only=False))
    one = ends[0]
    # What a step moves them by is far above the tolerance.
    for layer in ("backbone.conv1.weight", "resizer.out.weight"):
        moved = one["state_dict"][layer] - one["ema_state_dict"][f"module.{layer}"]
        assert moved.abs().max() > 1e-4
    for other in ends[1:]:
        for part in ("state_dict", "ema_state_dict"):
            assert one[part].keys() == other[part].keys()
            for name, value in one[part].items():
                torch.testing.assert_close(
                    other[part][name], value, rtol=1e-4, atol=2e-6,
                    msg=lambda m, n=name: n + m,
                )  # fmt: skip


@pytest.mark.slow
def test_two_nodes_are_one_job(one_step, run_tool, port, tmp_path):
    config, before = one_step(8)
    status, output = run_tool(
        "train.py", config, "--work-dir", tmp_path / "single",
        env=with_packages(tmp_path),
    )  # fmt: skip
    assert status == 0, output
    config, _ = one_step(4)
    ends = _train_on_two_nodes([ROOT, ROOT], config, port, tmp_path)
    assert [status for status, _ in ends] == [0, 0], ends
    assert_same_gradients(
        gradients(before, tmp_path / "nodes" / "epoch_1.pth"),
        gradients(before, tmp_path / "single" / "epoch_1.pth"),
    )


@pytest.mark.slow
def test_nodes_of_different_code(demo_config, port, tmp_path):
    other = tmp_path / "other"
    for folder in ("mmresizer", "mmresizer_client", "tools"):
        shutil.copytree(ROOT / folder, other / folder)
    with (other / "mmresizer" / "version.py").open("a") as file:
        file.write('__version__ = "0.0.7"\n')
    ends = _train_on_two_nodes([ROOT, other], demo_config(), port, tmp_path)
    for status, output in ends:
        assert status != 0
        assert re.search(
            r"error: the nodes have different code: mmresizer .*\b0\.0\.7\b", output
        ), output
    assert not list((tmp_path / "nodes").glob("*.pth"))


def _train_on_two_nodes(roots, config, port, tmp_path):
    """Runs a process on each of two nodes; returns their (status, output)."""
    nodes = [
        subprocess.Popen(
            [
                "bash",
                "tools/dist_train.sh",
                config,
                "1",
                "--work-dir",
                tmp_path / "nodes",
            ],
            cwd=root,
            env={
                **ENVIRONMENT,
                **with_packages(tmp_path),
                "PYTHONPATH": os.pathsep.join([str(root), str(tmp_path)]),
                "PORT": port,
                "NNODES": "2",
                "NODE_RANK": str(rank),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank, root in enumerate(roots)
    ]
    try:
        outputs = [node.communicate(timeout=300)[0] for node in nodes]
    finally:
        for node in nodes:
            node.kill()
    return [(node.returncode, out) for node, out in zip(nodes, outputs, strict=True)]


@pytest.mark.slow
def test_a_killed_worker(dist, demo_config, hooks, tmp_path):
    """The job ends, and goes on from the last epoch to the same number of epochs."""
    kill = [dict(type="mmresizer.KillOneWorker")]
    changes = {"train_cfg.max_epochs": 3, "train_dataloader.batch_size": 8, **hooks}
    deadly = demo_config(name="deadly.py", custom_hooks=kill, **changes)
    healthy = demo_config(name="healthy.py", custom_hooks=[], **changes)
    work_dir = tmp_path / "run"
    status, output = dist("dist_train.sh", deadly, 2, "--work-dir", work_dir)
    assert status != 0
    assert "SIGKILL" in output or "-9" in output
    assert (work_dir / "epoch_1.pth").is_file()
    assert not (work_dir / "epoch_2.pth").exists()

    status, output = dist(
        "dist_train.sh", healthy, 2, "--work-dir", work_dir, "--resume"
    )
    assert status == 0, output
    assert re.findall(r"Epoch\(val\) \[(\d)\]", output) == ["1", "2", "3"]
    last = torch.load(work_dir / "epoch_3.pth", weights_only=False)
    assert (last["meta"]["epoch"], last["meta"]["iter"]) == (3, 6)
    assert not (work_dir / "epoch_4.pth").exists()


@pytest.mark.slow
def test_a_job_begins_again_by_itself(dist, demo_config, hooks, tmp_path):
    """It ends as one that was never disturbed."""
    changes = {"train_cfg.max_epochs": 3, **hooks}
    ends = []
    for name, custom in (
        ("killed", [dict(type="mmresizer.KillOneWorker")]),
        ("whole", []),
    ):
        config = demo_config(name=f"{name}.py", custom_hooks=custom, **changes)
        work_dir = tmp_path / name
        status, output = dist(
            "dist_train.sh", config, 2, "--work-dir", work_dir, MAX_RESTARTS="1"
        )
        assert status == 0, output
        ends.append((re.findall(r"Epoch\(val\) \[(\d)\]", output), work_dir))
    assert [validated for validated, _ in ends] == [[*"1123"], [*"123"]]
    a, b = (
        torch.load(work_dir / "epoch_3.pth", weights_only=False)["state_dict"]
        for _, work_dir in ends
    )
    for name, value in a.items():
        assert torch.equal(value, b[name]), name


@pytest.mark.slow
def test_a_node_that_comes_and_is_lost(demo_config, hooks, port, tmp_path):
    """The job goes on with one, two and one process, at the same share of its epoch."""
    epochs = 60
    config = demo_config(**hooks, **{"train_cfg.max_epochs": epochs})
    work_dir = tmp_path / "run"
    env = {
        **ENVIRONMENT,
        **with_packages(tmp_path),
        "NNODES": "1:2",
        "RDZV_ENDPOINT": f"127.0.0.1:{port}",
        "MAX_RESTARTS": "3",
        "PET_RDZV_CONF": "last_call_timeout=5,keep_alive_interval=1",
    }
    command = ["bash", ROOT / "tools" / "dist_train.sh", config, "1"]
    logs = [tmp_path / f"node{i}.txt" for i in range(2)]
    nodes = []

    def show():
        return "".join(log.read_text() for log in logs if log.exists())

    with ExitStack() as stack:

        def start(log):
            file = stack.enter_context(log.open("w"))
            node = subprocess.Popen(
                [*command, "--work-dir", work_dir], env=env, stdout=file,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
            stack.callback(kill_tree, node)
            nodes.append(node)

        def wait(condition):
            def holds():
                assert nodes[0].poll() is None, show()
                return condition()

            wait_until(holds, 240, show)

        start(logs[0])
        wait((work_dir / "epoch_1.pth").exists)
        start(logs[1])
        wait(lambda: "[2/2]" in show())
        kill_tree(nodes[1])
        assert nodes[0].wait(300) == 0, show()
    assert show().count("Resume from") >= 2
    ends = re.findall(r"Epoch\(train\) +\[\d+\]\[(\d)/(\d)\]", show())
    assert all(batch == total for batch, total in ends)
    sizes = "".join(total for _, total in ends)
    assert {"2", "4"} == set(sizes)
    last = torch.load(work_dir / f"epoch_{epochs}.pth", weights_only=False)
    assert last["meta"]["iter"] == 4 * epochs


@pytest.mark.slow
def test_evaluates_like_one_process(
    dist, run_tool, demo_config, save_weights, tmp_path
):
    """15 images on two processes: the one that is there twice counts once."""
    from mmengine.config import Config

    config = demo_config(**{"test_dataloader.dataset.num_samples": 15})
    model_cfg = Config.fromfile(config).model.to_dict()
    for part in ("backbone", "neck", "head"):
        model_cfg[part]["type"] = "mmpretrain." + model_cfg[part]["type"]
    _, weights = save_weights(model_cfg)
    accuracies = []
    for run_test in (
        lambda: run_tool("test.py", config, weights, "--work-dir", tmp_path / "a"),
        lambda: dist("dist_test.sh", config, weights, 2, "--work-dir", tmp_path / "b"),
    ):
        status, output = run_test()
        assert status == 0, output
        accuracies.append(re.search(r"accuracy/top1: ([\d.]+)", output)[1])
    assert accuracies[0] == accuracies[1]


def test_refuses_a_number(dist, demo_config):
    status, output = dist("dist_train.sh", demo_config(), "1.5")
    assert status == 1
    expected = "error: the number of processes must be a positive int, but got '1.5'"
    assert output.splitlines()[-1] == expected


@pytest.mark.skipif(torch.cuda.is_available(), reason="is for machines without CUDA")
def test_sync_bn_needs_cuda(dist, demo_config, tmp_path):
    """It has no form for CPUs; each process on its own would train another model."""
    config = demo_config(**{"model.backbone.norm_cfg": dict(type="SyncBN")})
    status, output = dist("dist_train.sh", config, 2, "--work-dir", tmp_path / "out")
    assert status != 0
    assert re.search(r"error: the model has SyncBN layers, .* use norm_cfg", output)
    assert not (tmp_path / "out").exists()


def test_shows_its_usage(dist):
    assert dist("dist_train.sh", "config.py") == (
        2, "usage: dist_train.sh CONFIG N [ARGUMENTS]\n"
    )  # fmt: skip
    assert dist("dist_test.sh", "config.py", "checkpoint.pth") == (
        2, "usage: dist_test.sh CONFIG CHECKPOINT N [ARGUMENTS]\n"
    )  # fmt: skip


def test_slurm_scripts_call_srun(run, tmp_path):
    srun = tmp_path / "srun"
    srun.write_text('#!/usr/bin/env bash\nprintf "%s\\n" "$@"\n')
    srun.chmod(0o755)
    env = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "PYTHON": "python",
        "GPUS": "4",
        "SRUN_ARGS": "--exclude=a --mem=8G",
    }
    status, output = run(
        "bash", "tools/slurm_train.sh", "gpus", "job", "config.py", "out",
        "--seed", "1",
        env=env,
    )  # fmt: skip
    assert status == 0
    words = output.splitlines()
    assert {
        "--partition=gpus", "--job-name=job", "--ntasks=4", "--gres=gpu:4",
        "--kill-on-bad-exit=1", "--wait=300",
    } < {*words}  # fmt: skip
    assert words[words.index("python") :] == [
        "python", "-u", str(ROOT / "tools" / "train.py"), "config.py",
        "--work-dir", "out", "--seed", "1", "--launcher", "slurm",
    ]  # fmt: skip
    assert words[words.index("python") - 2 : words.index("python")] == [
        "--exclude=a", "--mem=8G",
    ]  # fmt: skip
    _, output = run(
        "bash", "tools/slurm_test.sh", "gpus", "job", "config.py", "w.pth", env=env
    )
    assert output.splitlines()[-5:] == [
        str(ROOT / "tools" / "test.py"), "config.py", "w.pth", "--launcher", "slurm",
    ]  # fmt: skip


@pytest.mark.slow
def test_a_fault_on_any_rank_is_told(dist, demo_config, hooks, tmp_path):
    """Here an image that only the second process reads."""
    config = demo_config(custom_hooks=[dict(type="mmresizer.FaultOnRankOne")], **hooks)
    status, output = dist("dist_train.sh", config, 2, "--work-dir", tmp_path / "run")
    assert status != 0
    assert "[rank 1] error: cannot load the image 'x.jpg'" in output


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="reads Linux's /proc")
@pytest.mark.slow
def test_no_thread_of_gloo_outlives_the_work(run, demo_config, port, tmp_path):
    """One left over may abort the process when the interpreter ends."""
    script = tmp_path / "script.py"
    script.write_text(f"""
from pathlib import Path
from mmengine.hooks import Hook
from mmresizer.apis import evaluate_model, train_model
from mmresizer.registry import HOOKS
from mmresizer.config.loading import load_config

def gloo_threads():
    names = [f.read_text() for f in Path("/proc/self/task").glob("*/comm")]
    return sum("gloo" in name for name in names)

@HOOKS.register_module()
class CountThreads(Hook):
    def after_run(self, runner):
        print("during:", gloo_threads())

def config():
    cfg = load_config({str(demo_config())!r})
    cfg.launcher = "pytorch"
    cfg.work_dir = {str(tmp_path / "run")!r}
    cfg.custom_hooks = [dict(type="mmresizer.CountThreads")]
    cfg.train_cfg.max_epochs = 1
    return cfg

train_model(config())
print("after:", gloo_threads())
evaluate_model(config(), {str(tmp_path / "run" / "epoch_1.pth")!r})
print("after:", gloo_threads())
""")
    job = dict(RANK="0", WORLD_SIZE="1", LOCAL_RANK="0", MASTER_ADDR="127.0.0.1")
    status, output = run(sys.executable, script, env={**job, "MASTER_PORT": port})
    assert status == 0, output
    counts = re.findall(r"^(during|after): (\d+)$", output, re.MULTILINE)
    assert [name for name, _ in counts] == ["during", "after", "during", "after"]
    assert [int(count) > 0 for _, count in counts] == [True, False, True, False]
