"""Whole comparisons on tiny data, as a user runs them."""

import json
import pprint
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack

import pandas as pd
import pytest
import torch

from conftest import (
    ENVIRONMENT,
    ROOT,
    find_ports,
    is_writing,
    kill_tree,
    wait_until,
    with_packages,
)
from mmresizer.comparison import report
from mmresizer.comparison.report import write_arms
from mmresizer.comparison.spec import load_spec

DEMO = (
    "mmresizer::fine_textures/bilinearx4_resnet18-cifar-w16_1xb32_fine-textures_24px.py"
)
SMALL = {
    "train_dataloader.dataset.num_samples": 64,
    "train_dataloader.batch_size": 16,
    # With random numbers of the main process, whose models draw from it differently.
    "train_dataloader.num_workers": 0,
    "train_dataloader.dataset.pipeline": [
        dict(type="RandomFlip", prob=0.5),
        dict(type="PackInputs"),
    ],
    "val_dataloader.dataset.num_samples": 40,
    "train_cfg.max_epochs": 2,
    "param_scheduler": None,
}
LEARNED = dict(type="mmresizer.LearnedResizer")
TABLES = ("results.csv", "runs.csv")


def write(path, **changes):
    """Writes the spec of a small comparison; returns its path."""
    spec = dict(
        config=DEMO,
        stage1=dict(options=SMALL),
        options=SMALL,
        arms=[
            dict(name="bilinear", baseline=True),
            dict(name="learned", resizer=LEARNED),
        ],
        seeds=[3, 7],
    )
    spec |= changes
    path.write_text("\n".join(f"{k} = {pprint.pformat(v)}" for k, v in spec.items()))
    return path


@pytest.fixture
def write_spec(tmp_path):
    """See :func:`write`."""
    return lambda **changes: write(tmp_path / "spec.py", **changes)


@pytest.fixture(scope="module")
def whole(run_tool, tmp_path_factory):
    """A comparison that nothing interrupts; returns (folder, output)."""
    folder = tmp_path_factory.mktemp("whole")
    spec = write(folder / "spec.py")
    status, output = run_tool("compare.py", spec, "--work-dir", folder / "out")
    assert status == 0, output
    return folder / "out", output


@pytest.fixture(scope="session")
def compare(run_tool):
    """Runs a comparison; returns (status, output)."""

    def compare(spec, work_dir, *arguments, **kwargs):
        return run_tool(
            "compare.py", spec, "--work-dir", work_dir, *arguments, **kwargs
        )

    return compare


def start_compare(spec, work_dir, *arguments, **env):
    """Starts a comparison, and does not wait for its end."""
    return subprocess.Popen(
        [
            sys.executable,
            ROOT / "tools/compare.py",
            spec,
            "--work-dir",
            work_dir,
            *arguments,
        ],
        env={**ENVIRONMENT, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def facts_of(folder):
    """All results but the times, which differ, and are not kept if others work here."""
    summary = json.loads((folder / "summary.json").read_text())
    del summary["dates"]  # two runs may have midnight between them
    for arm in summary["arms"]:
        del arm["latency_ratio"], arm["latency_machine"]
    tables = [(folder / name).read_text() for name in TABLES]
    return summary, tables


def test_whole_comparison(whole):
    whole, output = whole
    # Everything is there.
    results = pd.read_csv(whole / "results.csv")
    assert len(results) == 3 * 2 * 2
    assert set(results.arm) == {"stage1", "bilinear", "learned"}
    for name in (
        "summary.md",
        "accuracy_over_epochs.png",
        "accuracy_against_gmac.png",
        "resizers.png",
    ):
        assert (whole / name).is_file()
    assert (whole / "summary.md").read_text() in output

    # All arms start from the weights of stage 1, and saw the same images.
    start = torch.load(whole / "runs/stage1/seed3/weights.pth", weights_only=False)
    config = (whole / "runs/learned/seed3/config.py").read_text()
    assert f"load_from = '{whole}/runs/stage1/seed3/weights.pth'" in config
    assert "backbone.conv1.weight" in start["state_dict"]
    runs = pd.read_csv(whole / "runs.csv", dtype=str)
    runs = runs[runs.arm != "stage1"]
    data = {seed: set(group.data) for seed, group in runs.groupby("seed")}
    assert {len(digests) for digests in data.values()} == {1}
    assert data["3"] != data["7"]
    summary, _ = facts_of(whole)
    assert summary["same_data"]


def test_latency(write_spec, tmp_path, monkeypatch):
    spec = load_spec(str(write_spec()))
    write_arms(spec, tmp_path)
    times = [[1.0, 1.3]] * 7  # the baseline over itself, on a busy machine
    monkeypatch.setattr(report, "measure_latencies", lambda *args: times)
    with pytest.raises(RuntimeError, match=r"bilinear takes 1\.30 times as long"):
        report.measure_latency(spec, tmp_path)
    assert pd.read_csv(tmp_path / "arms.csv").latency_ratio.isna().all()

    pairs = iter([[[2.0, 2.0]] * 7, [[2.0, 5.0]] * 4 + [[2.0, 9.0]] * 3])
    monkeypatch.setattr(report, "measure_latencies", lambda *args: next(pairs))
    report.measure_latency(spec, tmp_path)
    assert list(pd.read_csv(tmp_path / "arms.csv").latency_ratio) == [1.0, 2.5]

    # An arm more leaves those of the others as they are.
    arms = [
        dict(name="bilinear", baseline=True),
        dict(name="cheap", resizer=dict(LEARNED, stem_stride=2)),
        dict(name="learned", resizer=LEARNED),
    ]
    write_arms(load_spec(str(write_spec(arms=arms))), tmp_path)
    ratios = pd.read_csv(tmp_path / "arms.csv").latency_ratio
    assert ratios.fillna(0).tolist() == [1.0, 0.0, 2.5]

    # Ratios to another baseline are others.
    arms = [
        dict(name="learned", resizer=LEARNED, baseline=True),
        dict(name="bilinear", baseline=True),
    ]
    write_arms(load_spec(str(write_spec(arms=arms))), tmp_path)
    assert pd.read_csv(tmp_path / "arms.csv").latency_ratio.isna().all()


@pytest.mark.slow
def test_interrupted_or_not_the_tables_are_the_same(
    whole, write_spec, compare, run_tool, tmp_path
):
    whole, _ = whole
    spec, parts = write_spec(), tmp_path / "parts"

    # Interrupted by Ctrl-C in the second run, by SIGKILL in the third, and then left in
    # peace.
    folders = [parts / "runs" / name for name in ("bilinear/seed3", "learned/seed3")]
    for folder, interrupt in zip(folders, (signal.SIGINT, signal.SIGKILL), strict=True):
        process = start_compare(spec, parts)
        wait_until(lambda folder=folder: (folder / "record.json").is_file())
        process.send_signal(interrupt)
        output, _ = process.communicate(timeout=300)
        if interrupt == signal.SIGINT:
            assert process.returncode == 130
            assert output.splitlines()[-1].startswith("interrupted; the same command")
        wait_until(lambda: not is_writing(parts))
        assert not (folder / "run.json").exists()
        # What has ended is in the tables already.
        status, output = run_tool("compare.py", "--report", parts)
        assert status == 0, output
    status, output = compare(spec, parts)
    assert status == 0, output
    assert len(re.findall(r"\(before\)", output)) == 2
    assert facts_of(parts) == facts_of(whole)

    # Nothing is left to do; a lost file of a finished run is named.
    status, output = compare(spec, parts)
    assert status == 0
    assert len(re.findall(r"\(before\)", output)) == 6
    weights = parts / "runs/stage1/seed7/weights.pth"
    content = weights.read_bytes()
    weights.unlink()
    status, output = compare(spec, parts)
    assert status == 1
    assert re.search(
        "error: .*stage1/seed7/weights.pth' is missing, though", output.splitlines()[-1]
    )

    # So are damaged files, and arms that came from other weights.
    weights.write_bytes(content)
    record = parts / "runs/bilinear/seed7/run.json"
    noted = record.read_bytes()
    for file, damaged, sentence in (
        (weights, content[:1000], "weights.pth' does not have the weights"),
        (record, noted[:20], "run.json' is damaged; delete '"),
        (
            record,
            noted.replace(b'"origin": "', b'"origin": "x'),
            "bilinear/seed7' was trained from other weights than those of '.*stage1",
        ),
    ):
        kept = file.read_bytes()
        file.write_bytes(damaged)
        status, output = compare(spec, parts)
        assert status == 1
        assert re.search(sentence, output.splitlines()[-1]), output
        file.write_bytes(kept)

    # A stage 1 that is lost is trained again, to the same weights: its arms stay.
    shutil.rmtree(weights.parent)
    status, output = compare(spec, parts)
    assert status == 0, output
    assert len(re.findall(r"\(before\)", output)) == 5
    assert facts_of(parts) == facts_of(whole)

    # Another spec does not mix with these runs.
    options = SMALL | {"optim_wrapper.optimizer.lr": 0.1}
    status, output = compare(write_spec(options=options), parts)
    assert status == 1
    assert "holds a run of another spec" in output.splitlines()[-1]


def test_summary_comes_again_from_the_tables_alone(whole, run_tool, tmp_path):
    whole, _ = whole
    published = tmp_path / "published"
    published.mkdir()
    for name in (*TABLES, "arms.csv", "facts.json"):
        shutil.copy(whole / name, published)
    status, output = run_tool("compare.py", "--report", published)
    assert status == 0, output
    for name in ("summary.md", "summary.json"):
        assert (published / name).read_text() == (whole / name).read_text()


@pytest.fixture
def broken_hook(tmp_path):
    """A module with a hook that meets a full disk, and one that kills the process."""
    (tmp_path / "broken.py").write_text(
        "import errno, os, signal\n"
        "from mmengine.hooks import Hook\n"
        "from mmengine.registry import HOOKS\n"
        "@HOOKS.register_module()\n"
        "class FullDisk(Hook):\n"
        "    def after_train_epoch(self, runner):\n"
        "        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))\n"
        "@HOOKS.register_module()\n"
        "class Killed(Hook):\n"
        "    def after_train_epoch(self, runner):\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    return dict(imports=["mmresizer", "broken"], allow_failed_imports=False)


@pytest.mark.slow
def test_failed_runs_are_told_and_the_others_go_on(
    write_spec, compare, tmp_path, broken_hook
):
    def arm(name, **options):
        return dict(name=name, options=options)

    spec = write_spec(
        stage1=None,
        arms=[
            dict(name="bilinear", baseline=True),
            arm("diverged", **{"optim_wrapper.optimizer.lr": 1e30}),
            arm(
                "full disk",
                custom_imports=broken_hook,
                custom_hooks=[dict(type="FullDisk")],
            ),
            arm(
                "killed", custom_imports=broken_hook, custom_hooks=[dict(type="Killed")]
            ),
        ],
    )
    env = with_packages(tmp_path)
    folder = tmp_path / "out"
    status, output = compare(spec, folder, env=env)
    assert status == 1, output
    runs = pd.read_csv(folder / "runs.csv", keep_default_na=False).set_index("arm")
    assert runs.status.to_dict() == {
        "bilinear": "finished",
        "diverged": "diverged",
        "full disk": "failed",
        "killed": "failed",
    }
    reasons = runs.reason.to_dict()
    assert re.fullmatch(
        r"the loss became (nan|inf) in epoch 1, iteration \d", reasons["diverged"]
    )
    assert "No space left on device" in reasons["full disk"]
    assert reasons["killed"] == "ended by SIGKILL"
    page = (folder / "summary.md").read_text()
    for name, reason in reasons.items():
        told = f"- {name}, seed 7: {runs.status[name].iloc[0]}, {reason}" in page
        assert told == (name != "bilinear")

    # What failed is tried again; what has diverged would diverge again.
    (tmp_path / "broken.py").write_text(
        "from mmengine.hooks import Hook\n"
        "from mmengine.registry import HOOKS\n"
        "@HOOKS.register_module()\n"
        "class FullDisk(Hook):\n"
        "    pass\n"
        "@HOOKS.register_module()\n"
        "class Killed(Hook):\n"
        "    pass\n"
    )
    status, output = compare(spec, folder, env=env)
    assert status == 1, output
    assert len(re.findall(r"\(before\)", output)) == 4
    runs = pd.read_csv(folder / "runs.csv")
    assert runs.status.value_counts().to_dict() == {"finished": 6, "diverged": 2}


@pytest.mark.slow
def test_arms_of_a_failed_stage1_do_not_train(write_spec, compare, tmp_path):
    options = SMALL | {"optim_wrapper.optimizer.lr": 1e30}
    folder = tmp_path / "out"
    status, output = compare(write_spec(stage1=dict(options=options)), folder)
    assert status == 1, output
    runs = pd.read_csv(folder / "runs.csv")
    arms = runs[runs.arm != "stage1"]
    assert set(arms.status) == {"failed"}
    assert all(arms.reason.str.startswith("stage 1 diverged: the loss became"))
    assert not (folder / "runs/learned/seed3/config.py").exists()


@pytest.mark.slow
def test_given_weights(write_spec, compare, tmp_path, save_weights, demo_config):
    """Stage 1 may be a checkpoint; its content is part of what tells runs apart."""
    from mmengine.config import Config

    cfg = Config.fromfile(demo_config("bilinearx4"))
    cfg.model.data_preprocessor = cfg.data_preprocessor
    _, weights = save_weights(cfg.model)
    arms = [dict(name="bilinear", baseline=True), dict(name="copy")]
    spec = write_spec(stage1=dict(checkpoint=str(weights)), arms=arms, seeds=[1, 2])
    status, output = compare(spec, tmp_path / "out")
    assert status == 0, output
    config = (tmp_path / "out/runs/bilinear/seed1/config.py").read_text()
    assert f"load_from = '{weights}'" in config

    # An arm which is a copy of its baseline is neither better nor worse.
    summary, _ = facts_of(tmp_path / "out")
    (copy,) = summary["differences"]
    assert copy["difference"] == [0, 0, 0]
    assert copy["mcnemar"] == [1, 1]
    assert copy["verdict"] == "undecided"

    checkpoint = torch.load(weights)
    checkpoint["state_dict"]["head.fc.bias"] += 1
    torch.save(checkpoint, weights)
    status, output = compare(spec, tmp_path / "out")
    assert status == 1
    assert "holds a run of another spec" in output.splitlines()[-1]


@pytest.mark.slow
def test_ray_gives_the_same_numbers(whole, write_spec, compare, tmp_path):
    pytest.importorskip("ray", reason="needs ray (requirements/optional.txt)")
    spec, folder = write_spec(), tmp_path / "out"
    status, output = compare(spec, folder, "--ray")
    assert status == 0, output
    assert facts_of(folder) == facts_of(whole[0])
    status, output = compare(spec, folder, "--ray", "--ray-cpus", 1000)
    assert status == 1
    assert "no machine of Ray has the 1000 CPUs" in output.splitlines()[-1]


@pytest.fixture
def ray_cluster(tmp_path_factory):
    """Starts two machines of Ray here; yields the address and the second one."""
    pytest.importorskip("ray", reason="needs ray (requirements/optional.txt)")
    (port,) = find_ports(1)
    address = f"127.0.0.1:{port}"
    env = {**ENVIRONMENT, "RAY_AUTH_MODE": "disabled"}
    start = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block"]
    start += ["--num-cpus=1", "--disable-usage-stats"]
    with ExitStack() as stack:
        machines = []
        head = ["--head", f"--port={port}"]
        for place in (head, [f"--address={address}"]):
            # Ray's sockets need a short path.
            folder = stack.enter_context(
                tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True)
            )
            log = tmp_path_factory.mktemp("ray") / "log"
            machine = subprocess.Popen(
                [*start, *place, "--temp-dir", folder],
                env=env, stdout=log.open("w"), stderr=subprocess.STDOUT,
            )  # fmt: skip
            stack.callback(kill_tree, machine)
            wait_until(lambda log=log: "Ray runtime started" in log.read_text(), 120)
            machines.append(machine)
        yield address, machines[1]


@pytest.mark.slow
def test_a_run_that_is_lost_with_its_machine_is_repeated(
    whole, write_spec, ray_cluster, tmp_path
):
    address, second = ray_cluster
    folder = tmp_path / "out"
    process = start_compare(
        write_spec(), folder, "--ray", address, RAY_AUTH_MODE="disabled"
    )
    try:

        def are_at_work():
            assert process.poll() is None, process.stdout.read()
            return sum(map(is_writing, folder.glob("runs/*/seed*"))) == 2

        wait_until(are_at_work)
        kill_tree(second)
        output = process.communicate(timeout=500)[0]
    finally:
        process.kill()
    assert process.returncode == 0, output
    assert facts_of(folder) == facts_of(whole[0])


def test_one_process_a_folder(write_spec, compare, tmp_path):
    from filelock import FileLock

    folder = tmp_path / "out"
    folder.mkdir()
    with FileLock(folder / ".lock"):
        status, output = compare(write_spec(), folder)
    assert status == 1
    assert "another process works in --work-dir" in output.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "give a spec, or --report DIR, and not both"),
        (["absent.py"], "the config 'absent.py' does not exist"),
        (["--report", "absent"], "'absent' has no results.csv of a comparison"),
        (
            ["comparisons/fine_textures.py", "--work-dir", "README.md"],
            "the folder 'README.md' is a file",
        ),
        (
            ["comparisons/fine_textures.py", "--cfg-options", "seeds.foo=3"],
            "{'seeds.foo': 3} do not fit the config 'comparisons/fine_textures.py' "
            "(TypeError: list indices must be integers or slices, not str)",
        ),
    ],
)
def test_refuses(run_tool, arguments, sentence):
    status, output = run_tool("compare.py", *arguments)
    assert status == 1
    assert output.splitlines()[-1] == f"error: {sentence}"
