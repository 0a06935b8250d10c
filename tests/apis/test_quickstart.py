import re

import pytest
from PIL import Image

from mmresizer.apis import quickstart


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
    assert [row[0] for row in rows] == ["antialiased bilinear", "bilinear", "learned"]
    assert [row[2] for row in rows] == ["0", "0", "12,035"]
    # 2,608 multiply-accumulates a pixel at 96 px and 9,264 at 24 px.
    assert float(rows[2][3]) == pytest.approx(0.0294, abs=1e-4)
    assert float(rows[2][4]) - float(rows[1][4]) == pytest.approx(0.0294, abs=2e-4)
    assert all(0 <= float(row[1]) <= 100 for row in rows)
    output = capsys.readouterr().out
    assert table in output
    assert f"Picture: {tmp_path / 'resizer.png'}" in output
    assert (tmp_path / "table.md").read_text() == table + "\n"
    assert Image.open(tmp_path / "resizer.png").width > 1000
