"""Detectors by the tools: training, resuming, evaluation, pictures, comparison."""

import csv
import pickle
import re
import signal
import subprocess
import sys

import pytest
import tiny_shapes
import torch
from filelock import FileLock
from PIL import Image
from test_preemption import HOOKS, assert_same

from conftest import ROOT, is_writing, wait_until, with_packages

NAME = "resizerx2_faster-rcnn-r18w16-fpn_1xb8_textured-shapes_96px"
CONFIG = ROOT / "configs" / "textured_shapes" / f"{NAME}.py"


def write_config(folder, data_root, prefix="resizer", lines=""):
    """Writes the config, cut down; its evaluator reads the annotations' file."""
    evaluator = f'dict(ann_file="{data_root}/annotations/instances_val.json")'
    evaluators = f"val_evaluator = {evaluator}\ntest_evaluator = {evaluator}\n"
    return tiny_shapes.write_config(
        CONFIG, folder, data_root, prefix, evaluators + lines
    )


@pytest.fixture(scope="module")
def trained(run_tool, tmp_path_factory):
    """A run of one epoch: (config, work_dir, output)."""
    folder = tmp_path_factory.mktemp("detection")
    config = write_config(folder, folder / "shapes")
    status, output = run_tool("train.py", config, "--work-dir", folder / "run")
    assert status == 0, output
    return config, folder / "run", output


def precision(output):
    """The mean average precision that MMDetection prints last."""
    return float(re.findall(r"coco/bbox_mAP: (-?[\d.]+)", output)[-1])


@pytest.mark.detection
def test_trains_and_validates(trained):
    _, folder, output = trained
    assert (folder / "epoch_1.pth").is_file()
    assert precision(output) >= 0
    assert re.search(r"loss_rpn_cls: [\d.]+", output)


@pytest.mark.detection
def test_resumes(run_tool, trained):
    config, folder, _ = trained
    status, output = run_tool(
        "train.py", config, "--work-dir", folder, "--resume",
        "--cfg-options", "train_cfg.max_epochs=2",
    )  # fmt: skip
    assert status == 0, output
    assert "resumed epoch: 1" in output
    assert (folder / "epoch_2.pth").is_file()


@pytest.mark.detection
def test_goes_on_to_the_last_digit(run_tool, trained, tmp_path):
    """Detectors draw random proposals in training, and batches by aspect ratio."""
    (tmp_path / "stops.py").write_text(HOOKS)
    data_root = trained[0].with_name("shapes")
    hooks = """
train_cfg = dict(max_epochs=2)
custom_imports = dict(
    imports=["mmresizer", "mmresizer.datasets.textured_shapes", "stops"]
)
custom_hooks = [dict(type="mmresizer.SignalAt", iteration={}, number=15)]
"""
    saved = []
    for name, stop in (("whole", 0), ("parts", 1)):
        for iteration in [stop, 0] if stop else [0]:
            config = write_config(tmp_path, data_root, lines=hooks.format(iteration))
            resume = ["--resume"] if stop and not iteration else []
            work_dir = tmp_path / name
            status, output = run_tool(
                "train.py", config, "--work-dir", work_dir, "--seed", 1,
                "--deterministic", *resume, env=with_packages(tmp_path),
            )  # fmt: skip
            assert status == (-signal.SIGTERM if iteration else 0), output
        saved.append(torch.load(work_dir / "epoch_2.pth", weights_only=False))
    assert "Resume from" in output
    for part in ("state_dict", "optimizer"):
        assert_same(saved[0][part], saved[1][part], part)


@pytest.mark.detection
def test_two_processes_find_the_same_boxes(run, run_tool, trained, tmp_path):
    """The third image, which the second process gets twice, counts once."""
    config, folder, _ = trained
    options = ("--cfg-options", "test_dataloader.dataset.indices=3")
    found = []
    for name, command in (
        ("one", (run_tool, "test.py", config, folder / "epoch_1.pth")),
        (
            "two",
            (
                run,
                "bash",
                ROOT / "tools" / "dist_test.sh",
                config,
                folder / "epoch_1.pth",
                "2",
            ),
        ),
    ):
        out = tmp_path / f"{name}.pkl"
        call, *arguments = command
        status, output = call(
            *arguments, "--out", out, "--work-dir", tmp_path / name, *options,
            cwd=tmp_path,
        )  # fmt: skip
        assert status == 0, output
        found.append(pickle.loads(out.read_bytes()))
    assert [len(one) for one in found] == [3, 3]
    for one, two in zip(*found, strict=True):
        assert one["img_id"] == two["img_id"]
        a, b = (
            torch.cat([found["bboxes"], found["scores"][:, None]], dim=1)
            for found in (one["pred_instances"], two["pred_instances"])
        )
        assert len(a) == len(b) > 0
        # Boxes whose scores are the same to rounding may change places.
        distances = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
        assert distances.amin(0).max() < 1e-2
        assert distances.amin(1).max() < 1e-2


@pytest.mark.detection
def test_starts_from_a_plain_detector(run_tool, trained, tmp_path):
    """Only the resizer's weights are missing, and that is told."""
    config, folder, _ = trained
    checkpoint = torch.load(folder / "epoch_1.pth", weights_only=False)
    weights = checkpoint["state_dict"]
    plain = {k: v for k, v in weights.items() if not k.startswith("resizer.")}
    assert 0 < len(plain) < len(weights)
    torch.save({"state_dict": plain}, tmp_path / "plain.pth")
    status, output = run_tool(
        "train.py", config, "--work-dir", tmp_path / "run",
        "--cfg-options", f"load_from={tmp_path / 'plain.pth'}",
    )  # fmt: skip
    assert status == 0, output
    assert "no weights for" in output
    assert "missing keys in source state_dict: backbone" not in output


@pytest.mark.detection
def test_evaluates_as_in_training(run_tool, trained, tmp_path):
    config, folder, output = trained
    expected = re.findall(r"coco/bbox_mAP: (-?[\d.]+)", output)[-1]
    status, output = run_tool(
        "test.py", config, folder / "epoch_1.pth", "--work-dir", tmp_path / "run",
        "--show-dir", tmp_path / "shown",
    )  # fmt: skip
    assert status == 0, output
    assert precision(output) == float(expected)
    shown = sorted(path.name for path in (tmp_path / "shown").iterdir())
    assert shown == [f"{i:06d}.png" for i in range(4)]
    # Ground truth and predictions side by side.
    assert Image.open(tmp_path / "shown" / shown[0]).size == (2 * 192, 192)


@pytest.mark.detection
def test_augments_at_test_time(run_tool, trained, tmp_path):
    config, folder, _ = trained
    status, output = run_tool(
        "test.py", config, folder / "epoch_1.pth", "--tta",
        "--work-dir", tmp_path / "run",
        "--show-dir", tmp_path / "shown", "--interval", "3",
    )  # fmt: skip
    assert status == 0, output
    assert precision(output) >= 0
    shown = sorted(path.name for path in (tmp_path / "shown").iterdir())
    assert shown == ["000000.png", "000003.png"]


@pytest.mark.detection
def test_draws_what_the_detector_sees(run_tool, trained, tmp_path):
    config, folder, _ = trained
    image = config.parent / "shapes" / "val" / "000001.png"
    status, output = run_tool(
        "visualization/vis_resizer.py", config, folder / "epoch_1.pth", image,
        "--out", tmp_path,
    )  # fmt: skip
    assert status == 0, output
    assert (tmp_path / "000001_resizer.png").is_file()


@pytest.mark.detection
def test_refuses_weights_of_another_detector(run_tool, trained, tmp_path):
    config, _, _ = trained
    torch.save({"state_dict": {"head.fc.weight": torch.ones(2)}}, tmp_path / "x.pth")
    status, output = run_tool("test.py", config, tmp_path / "x.pth")
    assert status == 1
    assert "does not fit the model of the config" in output
    assert "Traceback" not in output


@pytest.mark.detection
def test_compares(run_tool, trained, tmp_path):
    """Runs that are there already are not repeated."""
    config, _, _ = trained
    data_root = config.parent / "shapes"
    baseline = write_config(tmp_path, data_root, "bilinear")
    learned = write_config(tmp_path, data_root)
    command = (
        "compare_dense.py", baseline, learned, "--work-dir", tmp_path / "out",
        "--seeds", 0, 1, "--jobs", 2,
    )  # fmt: skip
    status, output = run_tool(*command)
    assert status == 0, output
    assert (
        len(re.findall(r"^\[\d/4\].*: mAP \d+\.\d, \d+ s", output, re.MULTILINE)) == 4
    )
    with (tmp_path / "out" / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(r["config"], r["seed"]) for r in rows] == [
        ("bilinear", "0"), ("bilinear", "1"), ("resizer", "0"), ("resizer", "1"),
    ]  # fmt: skip
    assert {r["latency_ratio"] for r in rows[:2]} == {"1.0"}
    # The learned resizer adds its 12,035 parameters, and nothing else.
    assert int(rows[2]["parameters"]) - int(rows[0]["parameters"]) == 12_035
    again = run_tool(*command)
    assert again[0] == 0, again[1]
    assert len(re.findall(r"\(before\)$", again[1], re.MULTILINE)) == 4
    changed = write_config(tmp_path, data_root, lines="find_unused_parameters = True")
    status, output = run_tool(*command[:2], changed, *command[3:])
    assert status == 1
    assert "holds a run of another spec or config" in output


@pytest.mark.detection
@pytest.mark.parametrize("ends_by", ["SIGTERM", "SIGKILL"])
def test_an_interruption_ends_the_run_too(trained, tmp_path, ends_by):
    """A signal to the tool alone; the folder is free for the same command again."""
    config, _, _ = trained
    data_root = config.parent / "shapes"
    baseline = write_config(tmp_path, data_root, "bilinear", "")
    learned = write_config(tmp_path, data_root)
    tool = ROOT / "tools" / "compare_dense.py"
    command = [sys.executable, tool, baseline, learned, "--work-dir", tmp_path / "out"]
    process = subprocess.Popen([*map(str, command)], cwd=ROOT)
    wait_until(lambda: any(map(is_writing, (tmp_path / "out").glob("runs/*/seed0"))))
    process.send_signal(signal.Signals[ends_by])
    assert process.wait(60) == {"SIGTERM": 130, "SIGKILL": -signal.SIGKILL}[ends_by]
    wait_until(lambda: not is_writing(tmp_path))
    with FileLock(tmp_path / "out" / ".lock", blocking=False):
        pass


@pytest.mark.detection
def test_measures_the_latency_of_a_pair(run_tool, trained):
    status, output = run_tool(
        "analysis_tools/benchmark_pairs.py", CONFIG, "--repeats", 1, "--batch-size", 1
    )
    assert status == 0, output
    assert re.search(rf"{NAME}: .* ms an image, ratio \d", output)
