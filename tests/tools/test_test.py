import json
import os
import pickle
import re

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import default_collate
from mmengine.hub import get_config
from PIL import Image

from mmresizer.registry import DATASETS

FLOWERS = "mmresizer::flowers/resizerx4_resnet18_1xb32_flowers12_56px.py"


def model_config(config):
    """The config's model with the prefixes that it needs outside of a run."""
    cfg = Config.fromfile(config).to_dict()
    model = {**cfg["model"], "data_preprocessor": cfg["data_preprocessor"]}
    for part in ("backbone", "neck", "head"):
        model[part]["type"] = "mmpretrain." + model[part]["type"]
    return model


@pytest.fixture
def trained(demo_config, save_weights):
    config = demo_config()
    model, weights = save_weights(model_config(config))
    return config, model.eval(), weights


@torch.no_grad()
def scores(config, model, flip=False):
    """Softmax of the logits on the test set, without any tool."""
    dataset = DATASETS.build(Config.fromfile(config).test_dataloader.dataset)
    batch = default_collate([dataset[i] for i in range(len(dataset))])
    images = model.data_preprocessor(batch)["inputs"]
    labels = torch.tensor([dataset.get_data_info(i)["gt_label"] for i in range(16)])
    return model(images.flip(3) if flip else images).softmax(1), labels


def test_metrics(run_tool, trained, tmp_path):
    config, model, weights = trained
    status, output = run_tool(
        "test.py", config, weights, "--work-dir", tmp_path / "run",
        "--out", tmp_path / "deep" / "metrics.json", "--out-item", "metrics",
    )  # fmt: skip
    assert status == 0, output
    metrics = json.loads((tmp_path / "deep" / "metrics.json").read_text())
    expected, labels = scores(config, model)
    accuracy = 100 * (expected.argmax(1) == labels).double().mean().item()
    assert metrics["accuracy/top1"] == pytest.approx(accuracy)
    assert "no weights for" not in output


@pytest.mark.parametrize("tta", [False, True])
def test_predictions(run_tool, trained, tmp_path, tta):
    """Test-time augmentation averages the scores of an image and its mirror image."""
    config, model, weights = trained
    status, output = run_tool(
        "test.py", config, weights, "--work-dir", tmp_path / "run",
        "--out", tmp_path / "predictions.pkl", *(["--tta"] if tta else []),
    )  # fmt: skip
    assert status == 0, output
    predictions = pickle.loads((tmp_path / "predictions.pkl").read_bytes())
    actual = torch.stack([p["pred_score"] for p in predictions])
    expected, _ = scores(config, model)
    if tta:
        expected = (expected + scores(config, model, flip=True)[0]) / 2
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)


def test_show_dir(run_tool, trained, tmp_path):
    config, _, weights = trained
    status, output = run_tool(
        "test.py", config, weights, "--work-dir", tmp_path / "run",
        "--show-dir", tmp_path / "shown", "--interval", "4",
    )  # fmt: skip
    assert status == 0, output
    assert len(list((tmp_path / "shown").glob("*.png"))) == 4


@pytest.mark.parametrize("options", [[], ["--tta"]])
def test_show_dir_of_files(run_tool, save_weights, tmp_path, options):
    """Each image has a picture in its own colour, in a folder as the image is.

    The class names are no formulas, and one is no UTF-8.
    """
    colours = {b"$\\frac$": (250, 0, 0), b"b\xff": (0, 0, 250), b"c": (0, 250, 0)}
    data = os.fsencode(tmp_path / "data")
    for name, colour in colours.items():
        os.makedirs(os.path.join(data, name))
        for file in (b"1.png", b"2.jpg"):
            image = Image.new("RGB", (40, 40), colour)
            image.save(os.fsdecode(os.path.join(data, name, file)))
    cfg = get_config(FLOWERS)
    cfg.merge_from_dict(
        {
            "model.backbone": dict(base_channels=8, stem_channels=8),
            "model.head": dict(in_channels=64, num_classes=3),
            "test_dataloader.dataset": dict(
                data_root=os.fsdecode(data), data_prefix=""
            ),
            "test_dataloader.num_workers": 0,
            "test_dataloader.batch_size": 4,
        }
    )
    cfg.train_dataloader = cfg.val_dataloader = cfg.train_cfg = cfg.val_cfg = None
    cfg.optim_wrapper = cfg.param_scheduler = cfg.val_evaluator = None
    cfg.dump(tmp_path / "config.py")
    model = Config.fromfile(tmp_path / "config.py").model.to_dict()
    for part in ("backbone", "neck", "head"):
        model[part]["type"] = "mmpretrain." + model[part]["type"]
    model["head"]["loss"]["type"] = "mmpretrain.LabelSmoothLoss"
    status, output = run_tool(
        "test.py", tmp_path / "config.py", save_weights(model)[1], *options,
        "--work-dir", tmp_path / "run", "--show-dir", tmp_path / "shown",
    )  # fmt: skip
    assert status == 0, output
    shown = os.fsencode(tmp_path / "shown")
    assert sorted(os.listdir(shown)) == sorted(colours)
    for name, colour in colours.items():
        folder = os.path.join(shown, name)
        assert sorted(os.listdir(folder)) == [b"1.png", b"2.jpg.png"]
        picture = Image.open(os.fsdecode(os.path.join(folder, b"1.png")))
        corner = np.array(picture.convert("RGB"))[-5:, -5:].astype(int)
        assert np.abs(corner - colour).max() <= 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["--out", "a.json"],
            "--out for 'pred' must end in .pkl or .pickle, got 'a.json'",
        ),
        (["--out", "a.txt", "--out-item", "metrics"], "must end in .json.*got 'a.txt'"),
        (["--cfg-options", "model.backbone.depth=34"], r"does not fit.*missing keys"),
        (["--out", "README.md/a.pkl"], "README.md"),
        (["--interval", "0"], "--interval must be at least 1, but got 0"),
        (["--cfg-options", "test_dataloader=None"], "has no `test_dataloader`"),
    ],
)
def test_refuses(run_tool, trained, tmp_path, arguments, sentence):
    config, _, weights = trained
    status, output = run_tool(
        "test.py", config, weights, "--work-dir", tmp_path / "run", *arguments
    )
    assert status == 1
    assert "Traceback" not in output
    assert re.search(f"^error: .*{sentence}", output, re.MULTILINE), output


def test_refuses_weights_without_resizer(run_tool, trained, save_weights, tmp_path):
    config, _, _ = trained
    cfg = model_config(config)
    cfg.pop("resizer")
    _, plain = save_weights({**cfg, "type": "mmpretrain.ImageClassifier"}, "plain.pth")
    status, output = run_tool("test.py", config, plain, "--work-dir", tmp_path / "run")
    assert status == 1
    assert re.search(r"^error: .*plain.pth' does not fit.*resizer\.stem", output, re.M)
