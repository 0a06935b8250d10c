"""The weights in checkpoints/ are what the metafiles say, and as good."""

import hashlib
import json

import pytest
import torch
import yaml

from conftest import ROOT
from mmresizer.apis.testing import evaluate_model
from mmresizer.config.building import build_model
from mmresizer.config.loading import load_config
from mmresizer.models.utils import check_trained_weights

FOLDER = ROOT / "checkpoints"
# In the metafile -> in the log, decimals, and what another processor's rounding may
# change: an image or two.
METRICS = {
    "Top 1 Accuracy": ("accuracy/top1", 1, 0.5),
    "SRCC": ("iqa/SRCC", 3, 0.003),
    "PLCC": ("iqa/PLCC", 3, 0.003),
    "EMD": ("iqa/EMD", 3, 0.003),
}
MODELS = [
    model
    for file in sorted((ROOT / "configs").glob("*/metafile.yml"))
    for model in yaml.safe_load(file.read_text())["Models"]
    if "Weights" in model
]


@pytest.fixture(params=MODELS, ids=lambda model: model["Name"])
def model(request):
    return request.param


def test_finds_the_weights():
    assert len(MODELS) >= 2


def test_nothing_else_is_in_the_folder():
    named = {"checkpoints/README.md"}
    for model in MODELS:
        named |= {model["Weights"], model["Metadata"]["Training Log"]}
        named.add(model["Metadata"].get("Resizer Weights", model["Weights"]))
    assert {f"checkpoints/{file.name}" for file in FOLDER.iterdir()} == named


def test_files_are_the_published_ones(model):
    for owner, key in ((model, "Weights"), (model["Metadata"], "Resizer Weights")):
        if key not in owner:
            continue
        path, facts = ROOT / owner[key], model["Metadata"]
        assert path.stat().st_size == facts[f"{key} Size"]
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert digest == facts[f"{key} SHA256"]
        assert path.stem.endswith(f"-{digest[:8]}")


def test_fit_their_config(model):
    cfg = load_config(str(ROOT / model["Config"]))
    check_trained_weights(build_model(cfg), str(ROOT / model["Weights"]))
    resizer = model["Metadata"].get("Resizer Weights")
    assert (resizer is None) == model["Name"].startswith(("bilinear", "bicubic"))
    if resizer:
        alone = torch.load(ROOT / resizer, weights_only=True)["state_dict"]
        whole = torch.load(ROOT / model["Weights"], weights_only=True)["state_dict"]
        assert alone
        assert all(torch.equal(whole[f"resizer.{name}"], alone[name]) for name in alone)


def test_log_ends_with_the_published_metrics(model):
    log = (ROOT / model["Metadata"]["Training Log"]).read_text().splitlines()
    epochs = load_config(str(ROOT / model["Config"])).train_cfg.max_epochs
    (result,) = model["Results"]
    assert result["Metrics"]
    for name, published in result["Metrics"].items():
        key, decimals, _ = METRICS[name]
        values = [line[key] for line in map(json.loads, log) if key in line]
        assert len(values) == epochs
        assert round(values[-1], decimals) == published


def test_are_as_good_as_published(model, tmp_path):
    cfg = load_config(str(ROOT / model["Config"]))
    cfg.work_dir = str(tmp_path)
    root = cfg.test_dataloader.dataset.get("data_root", "")
    if root and not (ROOT / root).is_dir():
        pytest.skip(f"needs {root} (README.md)")
    if root:
        cfg.test_dataloader.dataset.data_root = str(ROOT / root)
    metrics = evaluate_model(cfg, str(ROOT / model["Weights"]))
    (result,) = model["Results"]
    for name, published in result["Metrics"].items():
        key, _, margin = METRICS[name]
        assert metrics[key] == pytest.approx(published, abs=margin)
