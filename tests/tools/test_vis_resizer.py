import os
import re
import shutil

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.hub import get_config

FLOWERS = "mmresizer::flowers/resizerx4_resnet18_1xb32_flowers12_56px.py"


@pytest.fixture
def trained(save_weights, tmp_path):
    cfg = get_config(FLOWERS)
    cfg.dump(tmp_path / "config.py")
    model_cfg = Config.fromfile(tmp_path / "config.py").model.to_dict()
    for part in ("backbone", "neck", "head"):
        model_cfg[part]["type"] = "mmpretrain." + model_cfg[part]["type"]
    model_cfg["head"]["loss"]["type"] = "mmpretrain.LabelSmoothLoss"
    return tmp_path / "config.py", save_weights(model_cfg)[1]


def test_draws(run_tool, trained, image_folder, tmp_path):
    """One picture an image, also of images of the same name."""
    images = [image_folder / "train" / c / "image_0001.jpg" for c in ("daisy", "iris")]
    status, output = run_tool(
        "visualization/vis_resizer.py", *trained, *images, "--out", tmp_path / "out"
    )
    assert status == 0, output
    names = ["image_0001_resizer.png", "image_0001-2_resizer.png"]
    assert [str(tmp_path / "out" / n) for n in names] == output.splitlines()[-2:]
    pictures = [cv2.imread(str(tmp_path / "out" / name)) for name in names]
    assert all(p.shape[1] > 1200 and p.std() > 20 for p in pictures)
    assert (np.resize(pictures[0], pictures[1].shape) != pictures[1]).any()


def test_names_that_are_no_utf_8(run_tool, trained, image_folder, tmp_path):
    name = os.fsdecode(os.fsencode(tmp_path) + b"/$1 \xff $2.jpg")
    shutil.copy(image_folder / "train" / "iris" / "image_0001.jpg", name)
    status, output = run_tool(
        "visualization/vis_resizer.py", *trained, name, "--out", tmp_path / "out"
    )
    assert status == 0, output
    picture = os.fsdecode(b"$1 \xff $2_resizer.png")
    assert os.listdir(tmp_path / "out") == [picture]
    assert output.splitlines()[-1] == str(tmp_path / "out" / picture)


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("missing image", "cannot load the image .*absent.jpg"),
        ("no image", "cannot load the image .*config.py"),
        ("plain model", "must have one resizer, but it has 0"),
        ("out is a file", "the output folder .* is a file"),
        ("no checkpoint", "config.py' is no complete checkpoint"),
    ],
)
def test_refuses(
    run_tool, trained, save_weights, image_folder, tmp_path, kind, sentence
):
    config, weights = trained
    image, out, options = image_folder / "train/iris/image_0001.jpg", "out", []
    if kind == "missing image":
        image = "absent.jpg"
    elif kind == "no image":
        image = config
    elif kind == "plain model":
        cfg = Config.fromfile(config)
        del cfg.model["resizer"]
        cfg.model.type = "ImageClassifier"
        cfg.dump(config)
        model_cfg = cfg.model.to_dict()
        model_cfg["type"] = "mmpretrain.ImageClassifier"
        for part in ("backbone", "neck", "head"):
            model_cfg[part]["type"] = "mmpretrain." + model_cfg[part]["type"]
        model_cfg["head"]["loss"]["type"] = "mmpretrain.LabelSmoothLoss"
        weights = save_weights(model_cfg, "plain.pth")[1]
    elif kind == "out is a file":
        out = "config.py"
    elif kind == "no checkpoint":
        weights = config
    status, output = run_tool(
        "visualization/vis_resizer.py", config, weights, image,
        "--out", tmp_path / out, *options,
    )  # fmt: skip
    assert status == 1
    assert "Traceback" not in output
    assert re.search(f"^error: .*{sentence}", output, re.MULTILINE), output
    assert not (tmp_path / "out").exists()
