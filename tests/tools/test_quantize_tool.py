"""Exported files in 8 and 16 bits."""

import json
import re

import onnx
import onnxruntime
import pytest
import torch
from mmengine.config import Config
from test_eight_bit_tools import accuracy, load_test_set
from test_test import model_config

from mmresizer.deploy import export_model
from mmresizer.hub.loading import load_model
from mmresizer.registry import MODELS


@pytest.fixture
def trained(demo_config, tmp_path):
    """Statistics of norms that differ from those of a batch, and a range of levels."""
    config = demo_config(
        **{
            "model.resizer.output_range": [-3, 3],
            "custom_hooks": [dict(type="EMAHook")],
        }
    )
    torch.manual_seed(0)
    model = MODELS.build(model_config(config))
    model.init_weights()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 2)
    torch.save({"state_dict": model.state_dict()}, tmp_path / "weights.pth")
    return config, tmp_path / "weights.pth"


def export(trained, part, folder, uint8=False):
    config, weights = trained
    cfg = Config.fromfile(config)
    return export_model(cfg, folder, part, checkpoint=weights, uint8=uint8)


def run(file, images):
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {"images": images.numpy()})[0])


@torch.no_grad()
@pytest.mark.parametrize(
    ("part", "precision", "uint8"),
    [
        ("resizer", "int8", True),
        ("backbone", "int8", False),
        ("whole", "int8", False),
        ("backbone", "float16", False),
        ("whole", "float16", True),
    ],
)
def test_files(run_tool, trained, tmp_path, part, precision, uint8):
    config, weights = trained
    file = export(trained, part, tmp_path / "exported", uint8)
    status, output = run_tool(
        "deploy/quantize.py", file, config, weights, "--precision", precision,
        "--images", 20, "--work-dir", tmp_path / "run",
    )  # fmt: skip
    assert status == 0, output
    made = file.with_name(f"{file.stem}_{precision}.onnx")
    names = {path.name for path in file.parent.iterdir()}
    assert names == {f"{f.name}{end}" for f in (file, made) for end in ("", ".json")}
    images, labels = load_test_set(config)
    model = load_model(Config.fromfile(config), str(weights))
    inputs = model.data_preprocessor({"inputs": images})["inputs"]
    small = model.resizer.eight_bit.encode(model.resizer(inputs))
    before = accuracy(model(inputs), labels)
    given = {
        "backbone": small,
        "whole": images.flip(1) if uint8 else inputs,
        "resizer": images.flip(1),
    }[part]
    outputs = run(made, given)
    if part == "resizer":
        assert outputs.dtype == torch.uint8
        values = model.resizer.eight_bit.decode(outputs)
        outputs = model.head.fc(model.backbone(values)[-1].mean((2, 3)))
    else:
        exact = model(inputs)
        error = (outputs - exact).abs().max() / exact.abs().max()
        assert 0 < error < {"int8": 0.5, "float16": 0.02}[precision]
    after = accuracy(outputs, labels)
    assert f"accuracy/top1: {before:.4g} before, {after:.4g} after" in output
    card = json.loads(made.with_name(f"{made.name}.json").read_text())
    assert card["metrics"] == {
        "float32": {"accuracy/top1": pytest.approx(before, abs=1e-3)},
        precision: {"accuracy/top1": pytest.approx(after, abs=1e-3)},
    }
    weights_in = {x.data_type for x in onnx.load(made).graph.initializer}
    kind = {"int8": onnx.TensorProto.INT8, "float16": onnx.TensorProto.FLOAT16}
    assert kind[precision] in weights_in
    assert made.stat().st_size < 0.75 * file.stat().st_size


def test_refuses(run_tool, trained, tmp_path, demo_config):
    config, weights = trained
    file = export(trained, "backbone", tmp_path / "exported")
    other = tmp_path / "other.pth"
    state = torch.load(weights)["state_dict"]
    state["head.fc.bias"][0] += 1
    torch.save({"state_dict": state}, other)
    script = file.with_suffix(".torchscript")
    plain = demo_config(name="plain.py")
    for arguments, sentence in (
        ([file, config, other], "was exported from other weights than"),
        (
            [file, plain, weights],
            "was exported with output_range=[[-3.0], [3.0]], but the config has None",
        ),
        ([script, config, weights], "only .onnx files can be quantised"),
        ([tmp_path / "absent.onnx", config, weights], "absent.onnx"),
        ([file, config, tmp_path / "absent.pth"], "absent.pth"),
        ([file, config, weights, "--precision", "int4"], "invalid choice: 'int4'"),
    ):
        status, output = run_tool(
            "deploy/quantize.py", *arguments, "--work-dir", tmp_path / "run"
        )
        assert status in (1, 2), output
        assert sentence in output
        assert "Traceback" not in output
    card = onnx.load(file)
    entry = next(p for p in card.metadata_props if p.key == "mmresizer")
    entry.value = json.dumps(
        {**json.loads(entry.value), "precision": "int8", "metrics": {}}
    )
    onnx.save(card, file)
    status, output = run_tool(
        "deploy/quantize.py", file, config, weights, "--work-dir", tmp_path / "run"
    )
    assert status == 1
    assert re.search(r"backbone.onnx' is in int8 already", output)
    assert {p.name for p in file.parent.iterdir()} == {file.name, f"{file.name}.json"}
