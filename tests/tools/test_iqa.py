"""Training and test of a model of quality, as a user starts them."""

import json
import pickle

import cv2
import numpy as np
import pytest
from scipy import stats

CONFIG = """
_base_ = ["mmresizer::ava/resizerx2_efficientnet-b0_8xb32-ft-aspect_ava_224px.py"]
load_from = None
train_pipeline = _base_.train_pipeline
test_pipeline = _base_.test_pipeline
train_pipeline[1].size = 64
test_pipeline[1].size = 64
common = dict(data_root={root!r}, test_part=0.5)
train_dataloader = dict(
    batch_size=2, num_workers=0, dataset=dict(pipeline=train_pipeline, **common)
)
val_dataloader = dict(
    batch_size=2, num_workers=0, dataset=dict(pipeline=test_pipeline, **common)
)
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=1)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """26 images, three aspect ratios, and their ratings; 13 are for test."""
    folder = tmp_path_factory.mktemp("ava")
    (folder / "images").mkdir()
    rng = np.random.default_rng(0)
    lines = []
    for i in range(26):
        size = [(60, 80), (80, 60), (70, 70)][i % 3]
        image = rng.integers(0, 256, (*size, 3), np.uint8)
        cv2.imwrite(str(folder / "images" / f"{i}.jpg"), image)
        votes = rng.integers(0, 50, 10)
        lines.append(" ".join(map(str, [i, i, *votes, 0, 0, 0])))
    (folder / "AVA.txt").write_text("\n".join(lines))
    (folder / "config.py").write_text(CONFIG.format(root=str(folder)))
    return folder


@pytest.mark.slow
def test_trains_and_tests(folder, run, run_tool, tmp_path):
    """Two processes, one with an image more, find what one finds, and SciPy too."""
    config = folder / "config.py"
    status, output = run_tool("train.py", config, "--work-dir", tmp_path, "--seed", 0)
    assert status == 0, output
    assert "iqa/SRCC" in output
    weights = tmp_path / "epoch_1.pth"

    predictions = tmp_path / "predictions.pkl"
    status, output = run_tool(
        "test.py", config, weights, "--work-dir", tmp_path, "--out", predictions
    )
    assert status == 0, output
    samples = pickle.loads(predictions.read_bytes())
    assert len(samples) == 13
    shapes = {sample["img_shape"] for sample in samples}
    assert shapes == {(64, 64), (48, 80), (80, 48)}
    scores = np.arange(1, 11)
    predicted, given = (
        np.array([sample[key].double().numpy() @ scores for sample in samples])
        for key in ("pred_score", "gt_score")
    )

    found = []
    for name, command in (
        ("one", [run_tool, "test.py", config, weights]),
        ("two", [run, "bash", "tools/dist_test.sh", config, weights, 2]),
    ):
        out = tmp_path / f"{name}.json"
        status, output = command[0](
            *command[1:], "--work-dir", tmp_path, "--out", out, "--out-item", "metrics"
        )
        assert status == 0, output
        found.append(json.loads(out.read_text()))
    one, two = found
    for key in ("PLCC", "SRCC", "KRCC", "MSE", "EMD"):
        assert two[f"iqa/{key}"] == pytest.approx(one[f"iqa/{key}"], abs=1e-6)
    expected = stats.spearmanr(predicted, given).statistic
    assert one["iqa/SRCC"] == pytest.approx(expected, abs=1e-6)
    assert one["iqa/MSE"] == pytest.approx(np.mean((predicted - given) ** 2), rel=1e-5)

    # The mean of an image and its mirror image is that of the averaged distribution.
    status, output = run_tool(
        "test.py", config, weights,
        "--work-dir", tmp_path, "--tta", "--out", predictions,
    )  # fmt: skip
    assert status == 0, output
    augmented = pickle.loads(predictions.read_bytes())
    averaged = np.array([s["pred_score"].double().numpy() @ scores for s in augmented])
    given = np.array([s["gt_score"].double().numpy() @ scores for s in augmented])
    expected = stats.pearsonr(averaged, given).statistic
    assert f"iqa/PLCC: {expected:.4f}" in output
    status, output = run_tool(
        "test.py", config, weights, "--work-dir", tmp_path, "--tta",
        "--cfg-options", "model.head.regression=True",
    )  # fmt: skip
    assert status == 1
    assert "averages distributions, but model.head.regression is True" in output
    assert "Traceback" not in output
