"""Export by the command line, of a model of the zoo."""

import json
import sys

import onnxruntime
import pytest

from conftest import ROOT
from mmresizer.config.building import build_model
from mmresizer.config.loading import load_config
from mmresizer.deploy import export_model
from mmresizer.utils import InputError

TOOL = ROOT / "tools" / "deploy" / "export.py"
NAME = "resizerx4_mobilenet-v2_1xb32_flowers12_56px"


def test_a_model_of_the_zoo(run, tmp_path):
    status, output = run(
        sys.executable, TOOL, NAME, "--part", "resizer", "--uint8", "--out", "out",
        cwd=tmp_path,
    )  # fmt: skip
    assert status == 0, output
    assert "checked at five sizes" in output
    file = tmp_path / "out" / f"{NAME}_resizer_uint8.onnx"
    card = json.loads(file.with_name(f"{file.name}.json").read_text())
    assert card["classes"][0] == "bluebell"
    assert card["test_pipeline"][-1]["type"] == "PackInputs"
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (images,) = session.get_inputs()
    assert (images.name, images.type) == ("images", "tensor(uint8)")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["absent"], "absent"),
        ([f"configs/flowers/{NAME}.py"], "needs a checkpoint: a config comes without"),
        ([NAME, "absent.pth"], "absent.pth"),
    ],
)
def test_refuses(run, tmp_path, arguments, sentence):
    out = tmp_path / "out"
    status, output = run(sys.executable, TOOL, *arguments, "--out", out, cwd=ROOT)
    assert status == 1
    (line,) = [line for line in output.splitlines() if line.startswith("error: ")]
    assert sentence in line
    assert not out.exists()


@pytest.mark.detection
def test_of_a_detector_the_resizer(tmp_path):
    folder = ROOT / "configs" / "textured_shapes"
    (path,) = folder.glob("resizerx2_faster-rcnn*.py")
    model = build_model(load_config(str(path))).eval()
    file = export_model(model, tmp_path, "resizer", "torchscript", uint8=True)
    assert file.is_file()
    with pytest.raises(InputError, match="only the part 'resizer' can be exported"):
        export_model(model, tmp_path, "whole", "torchscript")
