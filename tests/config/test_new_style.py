"""A config in pure Python, the one of the docs, in the tools."""

import re

import pytest

from conftest import ROOT
from mmresizer.analysis.costs import build_model_to_count, input_size, model_costs
from mmresizer.apis import evaluate_model, resize_images, train_model
from mmresizer.apis.testing import enable_tta, set_visualization
from mmresizer.config.loading import load_config
from mmresizer.utils import InputError


@pytest.fixture
def config(image_folder, monkeypatch):
    """The config's path, with the images that it names beside it."""
    monkeypatch.chdir(image_folder.parent)
    page = ROOT / "docs" / "guides" / "classification.md"
    block = re.search(r"```python\n(# new_style.py\n.*?)```", page.read_text(), re.S)[1]
    path = image_folder.parent / "new_style.py"
    path.write_text(block)
    return str(path)


def load(config, tmp_path):
    cfg = load_config(config, {"work_dir": str(tmp_path / "run")})
    cfg.randomness = dict(seed=0)
    return cfg


def test_trains_and_tests(config, tmp_path):
    train_model(load(config, tmp_path))
    weights = str(tmp_path / "run" / "epoch_2.pth")
    metrics = evaluate_model(load(config, tmp_path), weights)
    assert metrics["accuracy/top1"] in (0, 25, 50, 75, 100)  # of 4 images
    augmented = load(config, tmp_path)
    enable_tta(augmented)
    set_visualization(augmented, str(tmp_path / "drawn"))
    evaluate_model(augmented, weights)
    assert len([*(tmp_path / "drawn").rglob("*.png")]) == 4
    (resized,) = resize_images(config, "images/val/iris/image_0000.jpg", weights)
    assert resized.shape[-2:] == (32, 32)


def test_costs(config, tmp_path):
    cfg = load(config, tmp_path)
    assert input_size(cfg) == (64, 64)
    assert model_costs(build_model_to_count(cfg), (64, 64)).resizer.parameters == 12_035


def test_a_class_that_is_not_there(config):
    path = config.replace("new_style", "faulty")
    with open(config) as file, open(path, "w") as faulty:
        faulty.write(file.read().replace("LinearClsHead", "AbsentHead"))
    with pytest.raises(InputError, match=r"cannot read .*Failed to import AbsentHead"):
        load_config(path)
