import re

import pytest
import torch
from PIL import Image

from mmresizer.apis import evaluate_model, quickstart


def test_trains_the_arms_and_reports(monkeypatch, tmp_path, capsys):
    """On a few images: a row for each arm, the table and the picture."""

    def get_config(name):
        cfg = original(name)
        cfg.train_cfg.max_epochs = 1
        for loader in ("train_dataloader", "val_dataloader", "test_dataloader"):
            cfg[loader].num_workers = 0
            cfg[loader].dataset.num_samples = 40
        return cfg

    original = quickstart.get_config
    monkeypatch.setattr(quickstart, "get_config", get_config)
    table = quickstart.run_quickstart(str(tmp_path), seed=3)
    rows = [re.split(r" *\| *", line)[1:-1] for line in table.splitlines()[2:]]
    arms = ["antialiased bilinear", "bilinear", "learned"]
    assert [row[0] for row in rows] == arms
    assert [row[2] for row in rows] == ["0", "0", "12,035"]
    # 2,608 multiply-accumulates a pixel at 96 px and 9,264 at 24 px.
    assert float(rows[2][3]) == pytest.approx(0.0113, abs=1e-4)
    assert float(rows[2][4]) - float(rows[1][4]) == pytest.approx(0.0113, abs=2e-4)
    output = capsys.readouterr()
    assert output.out.splitlines() == [
        *(f"Training {i} of 3: {arm}" for i, arm in enumerate(arms, 1)),
        "",
        *table.splitlines(),
        "",
        "Validation images, last epoch, one seed (3), "
        f"{torch.get_num_threads()} threads. Chance is 12.5 %.",
        "Antialiased interpolation removes the stripes, plain interpolation folds them "
        "into",
        "coarser ones. README.md has the means of three seeds.",
        f"Table: {tmp_path / 'table.md'}",
        f"Picture: {tmp_path / 'resizer.png'}",
    ]
    assert output.err == ""
    # The accuracy is that of the saved weights.
    cfg = get_config(quickstart.CONFIG.format("resizerx4"))
    cfg.launcher, cfg.work_dir = "none", str(tmp_path / "test")
    metrics = evaluate_model(cfg, str(tmp_path / "resizerx4" / "epoch_1.pth"))
    assert rows[2][1] == f"{metrics['accuracy/top1']:.1f}"
    assert (tmp_path / "table.md").read_text() == table + "\n"
    assert Image.open(tmp_path / "resizer.png").width > 1000
