"""Segmentors by the tools: training, resuming, evaluation, pictures, comparison."""

import csv
import json
import re
import shutil
import signal
import sys
from functools import partial

import cv2
import numpy as np
import onnxruntime
import pytest
import tiny_shapes
import torch
from mmseg.apis import MMSegInferencer, inference_model, init_model
from test_preemption import HOOKS, assert_same

from conftest import ROOT, with_packages

NAME = "resizerx2_unet-s4-w16_1xb8_textured-shapes-masks_96px"
CONFIG = ROOT / "configs" / "textured_shapes" / f"{NAME}.py"


write_config = partial(tiny_shapes.write_config, CONFIG)


@pytest.fixture(scope="module")
def trained(run_tool, tmp_path_factory):
    """A run of one epoch: (config, work_dir, output)."""
    folder = tmp_path_factory.mktemp("segmentation")
    config = write_config(folder, folder / "shapes")
    status, output = run_tool("train.py", config, "--work-dir", folder / "run")
    assert status == 0, output
    return config, folder / "run", output


def read_scores(output):
    """Returns the scores that were printed last, by name."""
    line = [line for line in output.splitlines() if " mIoU: " in line][-1]
    return dict(re.findall(r"(\S+): +([\d.]+)", line.partition("]  ")[2]))


def test_trains_and_validates(trained):
    _, folder, output = trained
    assert (folder / "epoch_1.pth").is_file()
    assert re.search(r"decode.loss_ce: [\d.]+", output)
    scores = read_scores(output)
    assert {"mIoU", "mBoundaryIoU", "aAcc", "IoU/disc-vertical"} <= scores.keys()


def test_evaluates_as_in_training(run_tool, trained, tmp_path):
    """Images and predictions keep their size."""
    config, folder, output = trained
    status, tested = run_tool(
        "test.py", config, folder / "epoch_1.pth", "--work-dir", tmp_path / "run",
        "--show-dir", tmp_path / "shown",
    )  # fmt: skip
    assert status == 0, tested
    assert read_scores(tested)["mIoU"] == read_scores(output)["mIoU"]
    shown = sorted((tmp_path / "shown").iterdir())
    assert [path.name for path in shown] == [f"{i:06d}.png" for i in range(4)]
    # Ground truth and predictions side by side.
    assert cv2.imread(str(shown[0])).shape == (192, 2 * 192, 3)


def test_augments_at_test_time(run_tool, trained, tmp_path):
    config, folder, _ = trained
    status, output = run_tool(
        "test.py", config, folder / "epoch_1.pth", "--tta",
        "--work-dir", tmp_path / "run",
        "--show-dir", tmp_path / "shown", "--interval", "3",
    )  # fmt: skip
    assert status == 0, output
    assert "mIoU" in read_scores(output)
    shown = sorted(path.name for path in (tmp_path / "shown").iterdir())
    assert shown == ["000000.png", "000003.png"]


ITERATIONS = """
train_cfg = dict(
    _delete_=True, type="IterBasedTrainLoop", max_iters=6, val_interval=6
)
train_dataloader = dict(sampler=dict(_delete_=True, type="InfiniteSampler"))
param_scheduler = [
    dict(type="PolyLR", power=0.9, begin=0, end=6, eta_min=1e-4, by_epoch=False)
]
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=6))
log_processor = dict(by_epoch=False)
custom_imports = dict(
    imports=["mmresizer", "mmresizer.datasets.textured_shapes_masks", "stops"]
)
custom_hooks = [
    dict(type="mmresizer.ResizerOptimizerHook", lr=3e-4),
    dict(type="mmresizer.SignalAt", iteration={}, number=15),
]
"""


def test_goes_on_to_the_last_digit(run_tool, trained, tmp_path):
    """With the loop that counts iterations, as MMSegmentation's configs have it."""
    (tmp_path / "stops.py").write_text(HOOKS)
    data_root = trained[0].with_name("shapes")
    saved = []
    for name, stops in (("whole", [0]), ("parts", [3, 0])):
        for iteration in stops:
            lines = ITERATIONS.format(iteration)
            config = write_config(tmp_path, data_root, lines="")
            config.write_text(
                re.sub("(?m)^train_cfg = .*1.$", "", config.read_text()) + lines
            )
            resume = ["--resume"] if len(stops) > 1 and not iteration else []
            work_dir = tmp_path / name
            status, output = run_tool(
                "train.py", config, "--work-dir", work_dir, "--seed", 1,
                "--deterministic", *resume, env=with_packages(tmp_path),
            )  # fmt: skip
            assert status == (-signal.SIGTERM if iteration else 0), output
        saved.append(torch.load(work_dir / "iter_6.pth", weights_only=False))
    assert "Resume from" in output
    for part in ("state_dict", "optimizer"):
        assert_same(saved[0][part], saved[1][part], part)


def test_two_processes_score_as_one(run, trained, tmp_path):
    """The third image, which the second process gets twice, counts once."""
    config, folder, _ = trained
    scores = []
    for count in (1, 2):
        status, output = run(
            "bash", ROOT / "tools" / "dist_test.sh", config, folder / "epoch_1.pth",
            count, "--work-dir", tmp_path / str(count),
            "--cfg-options", "test_dataloader.dataset.indices=3",
        )  # fmt: skip
        assert status == 0, output
        scores.append(read_scores(output))
        scores[-1].pop("time", None)
        scores[-1].pop("data_time", None)
    assert scores[0] == scores[1]


def test_starts_from_a_plain_segmentor(run_tool, trained, tmp_path):
    """Only the resizer's weights are missing, and that is told."""
    config, folder, _ = trained
    weights = torch.load(folder / "epoch_1.pth", weights_only=False)["state_dict"]
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


def test_inference_of_mmsegmentation(trained):
    """By its two interfaces, whose predictions have the size of the image."""
    config, folder, _ = trained
    image = str(config.parent / "shapes" / "img_dir" / "val" / "000001.png")
    checkpoint = str(folder / "epoch_1.pth")
    model = init_model(str(config), checkpoint, device="cpu")
    predicted = inference_model(model, image).pred_sem_seg.data
    assert predicted.shape == (1, 192, 192)
    inferencer = MMSegInferencer(str(config), checkpoint, device="cpu")
    result = inferencer(image, return_datasamples=True)
    assert torch.equal(result.pred_sem_seg.data, predicted)


def test_draws_and_exports_the_resizer(run, run_tool, trained, tmp_path):
    config, folder, _ = trained
    image = config.parent / "shapes" / "img_dir" / "val" / "000001.png"
    status, output = run_tool(
        "visualization/vis_resizer.py", config, folder / "epoch_1.pth", image,
        "--out", tmp_path,
    )  # fmt: skip
    assert status == 0, output
    assert (tmp_path / "000001_resizer.png").is_file()
    export = (
        sys.executable, ROOT / "tools" / "deploy" / "export.py", config,
        folder / "epoch_1.pth", "--uint8", "--out", tmp_path / "exported",
    )  # fmt: skip
    status, output = run(*export, "--part", "resizer")
    assert status == 0, output
    (file,) = (tmp_path / "exported").glob("*.onnx")
    card = json.loads(file.with_name(f"{file.name}.json").read_text())
    assert card["classes"][0] == "background"
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    rgb = cv2.imread(str(image))[..., ::-1].transpose(2, 0, 1)[None]
    (small,) = session.run(None, {"images": np.ascontiguousarray(rgb)})
    assert small.shape == (1, 3, 96, 96)
    status, output = run(*export, "--part", "whole")
    assert status == 1
    assert "only the part 'resizer' can be exported" in output


def test_compares(run_tool, trained, tmp_path):
    config, _, _ = trained
    data_root = config.parent / "shapes"
    baseline = write_config(tmp_path, data_root, "bilinear")
    learned = write_config(tmp_path, data_root)
    status, output = run_tool(
        "compare_dense.py", baseline, learned, "--work-dir", tmp_path / "out",
        "--seeds", 0, 1, "--jobs", 2,
    )  # fmt: skip
    assert status == 0, output
    ended = r"^\[\d/4\].*: mIoU \d+\.\d, \d+ s"
    assert len(re.findall(ended, output, re.MULTILINE)) == 4
    with (tmp_path / "out" / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(r["config"], r["seed"]) for r in rows] == [
        ("bilinear", "0"), ("bilinear", "1"), ("resizer", "0"), ("resizer", "1"),
    ]  # fmt: skip
    # The learned resizer adds its 12,035 parameters, and nothing else.
    assert int(rows[2]["parameters"]) - int(rows[0]["parameters"]) == 12_035
    assert {"mIoU", "mBoundaryIoU", "IoU of background"} <= rows[0].keys()
    page = (tmp_path / "out" / "summary.md").read_text()
    assert page.startswith("# Segmentors against their baseline")
    assert "## By class: boundary IoU" in page


def test_the_probe_is_for_classifiers(run_tool, trained):
    status, output = run_tool("probe.py", trained[0])
    assert status == 1
    assert "the probe is for classifiers, but the config" in output
    assert output.splitlines()[-1].endswith("is for segmentation")


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("two hundred", r"at least two classes, but all 8 have 0 alone; pixels of 255"),
        ("size", r"size of its image, but '.*png' has 100x192 .*, and '.*png' 192x192"),
        ("label", r"must be ints from 0 to 4, or 255 for none, but '.*png' has 9"),
        ("colour", r"must have one channel, .*, but '.*png' .* has the shape"),
        ("missing", r"cannot read the label map '.*png' of the training data"),
        ("classes", r"has 5 classes \(.*\), but model.decode_head.num_classes is 4"),
        ("odd", r"does not take an image of 192x192 .*divisible"),
        ("depth", r"must name a segmentor class .*, but got 'DepthEstimator'"),
    ],
)
def test_faults_get_a_sentence(run_tool, trained, tmp_path, fault, sentence):
    source = trained[0].with_name("shapes") / "ann_dir" / "train"
    lines = ""
    if fault == "classes":
        lines = "model = dict(decode_head=dict(num_classes=4))"
    if fault == "odd":
        lines = "model = dict(resizer=dict(scale_factor=0.4))"
    if fault == "depth":
        lines = "model = dict(segmentor='DepthEstimator')"
    config = write_config(tmp_path, tmp_path / "shapes", lines=lines)
    folder = tmp_path / "shapes"
    if fault == "two hundred":  # a mask of black and white
        shutil.copytree(source.parents[1], folder)
        for file in (folder / "ann_dir" / "train").iterdir():
            labels = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
            cv2.imwrite(str(file), 255 * (labels > 0).astype(np.uint8))
    if fault in ("label", "colour", "missing", "size"):
        shutil.copytree(source.parents[1], folder)
        file = folder / "ann_dir" / "train" / "000007.png"
        labels = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        if fault == "label":
            labels[0, 0] = 9
        if fault == "size":
            labels = labels[:100]
        if fault == "colour":
            labels = np.stack([labels] * 3, axis=2)
        file.unlink()
        if fault != "missing":
            cv2.imwrite(str(file), labels)
    status, output = run_tool("train.py", config, "--work-dir", tmp_path / "run")
    assert status == 1, output
    assert "Traceback" not in output
    (line,) = [line for line in output.splitlines() if line.startswith("error: ")]
    assert re.search(sentence, line), line
