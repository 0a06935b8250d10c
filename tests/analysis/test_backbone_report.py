import csv
from pathlib import Path

import pytest
import torch
from mmengine.model import BaseModule
from mmpretrain.registry import MODELS
from torch import nn

from mmresizer.analysis import backbone_report
from mmresizer.analysis.backbone_report import (
    CHECKS,
    check_backbone,
    check_backbones,
    list_backbones,
    markdown_table,
)
from mmresizer.utils import InputError

pytestmark = pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")

TABLE = Path(__file__).parents[2] / "docs" / "backbones.csv"


def read(path):
    with path.open(newline="") as f:
        return list(csv.DictReader(f))


def test_table_is_complete():
    assert [row["backbone"] for row in read(TABLE)] == list_backbones()
    assert TABLE.with_suffix(".md").read_text() == markdown_table(TABLE)


def test_all_trainable_backbones_pass():
    failed = [
        row["backbone"]
        for row in read(TABLE)
        if {row[check] for check in ("forward", "backward", "state_dict")} != {"yes"}
    ]
    assert failed == ["SparseResNet", "SparseConvNeXt"]


@pytest.mark.slow
def test_run(tmp_path, capsys):
    names = ["XCiT", "LeNet5", "TIMMBackbone"]
    rows = check_backbones(names, str(tmp_path / "table.csv"))
    published = {row["backbone"]: row for row in read(TABLE)}
    for name, row in zip(names, rows, strict=True):
        assert [row[check] for check in CHECKS[:4]] == ["yes"] * 4
        assert row["onnx"] == "yes"
        for column in ("backbone", "variant", "parameters_m", "in", "out", "note"):
            assert row[column] == published[name][column]
    assert read(tmp_path / "table.csv") == rows
    assert (tmp_path / "table.md").read_text() == markdown_table(tmp_path / "table.csv")
    assert [
        line.split(":")[0] for line in capsys.readouterr().out.splitlines()
    ] == names


class Flawed(BaseModule):
    def __init__(self, flaw):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 4, stride=4)
        self.flaw = flaw
        self.hidden = torch.rand(())

    def forward(self, x):
        if self.flaw == "raises":
            raise RuntimeError("two\nlines")
        if self.flaw == "infinite":
            x = x / 0
        if self.flaw == "detaches images":
            x = x.detach()
        y = self.conv(x).tanh()
        if self.flaw == "detaches output":
            y = y.detach()
        if self.flaw == "infinite gradient":
            y = (y - y.detach()).abs().sqrt() + y
        if self.flaw == "unsaved state":
            y = y * self.hidden
        if self.flaw == "python number":
            y = y * float(x.detach().sum())
        return (y,)


@pytest.fixture
def flawed(monkeypatch):
    monkeypatch.setitem(MODELS.module_dict, "Flawed", Flawed)
    monkeypatch.setattr(backbone_report.backbones, "__all__", ["Flawed"])

    def flawed(flaw):
        model = dict(
            backbone=dict(type="Flawed", flaw=flaw),
            neck=dict(type="GlobalAveragePooling"),
            head=dict(type="LinearClsHead", num_classes=5, in_channels=8),
        )
        monkeypatch.setitem(backbone_report._SMALLEST, "Flawed", model)
        return check_backbone("Flawed")

    return flawed


@pytest.mark.parametrize(
    ("flaw", "check", "reason"),
    [
        ("raises", "forward", "RuntimeError: two lines"),
        ("infinite", "forward", "the loss is nan"),
        ("detaches images", "backward", "the resizer gets no gradient"),
        ("detaches output", "backward", "the resizer gets no gradient"),
        ("infinite gradient", "backward", "the gradient of the resizer is not finite"),
        ("unsaved state", "state_dict", "the restored model has other logits"),
        ("python number", "trace", "logits are off by "),
    ],
)
def test_reports_flaws(flawed, flaw, check, reason):
    row = flawed(flaw)
    done = CHECKS[: CHECKS.index(check)]
    assert [row[c] for c in done] == ["yes"] * len(done)
    assert row[check].startswith(reason)
    assert row["variant"] == f"flaw={flaw}"
    if check == "forward":
        assert {row[c] for c in CHECKS[1:]} == {"-"}


def test_passes_without_flaw(flawed):
    row = flawed(None)
    assert [row[check] for check in CHECKS[:4]] == ["yes"] * 4
    assert row["parameters_m"] == "0.00"


def test_unknown_arguments(flawed, capsys):
    """A backbone of a later release is a row, too."""
    (row,) = check_backbones()
    assert (row["backbone"], row["forward"]) == ("Flawed", "no arguments known")
    assert capsys.readouterr().out == "Flawed: forward: no arguments known\n"


def test_refuses_bad_arguments(run_tool):
    status, output = run_tool("analysis_tools/check_backbones.py", "ResNet", "RestNet")
    assert status == 1
    message = output.splitlines()[-1]
    assert message.startswith("error: MMPretrain has no backbone 'RestNet'; it has Le")
    with pytest.raises(InputError, match=r"--out must be a \.csv file.*'table\.txt'"):
        check_backbones(["LeNet5"], "table.txt")
