import io
import re

import pytest
from mmengine.config import Config

from mmresizer.apis import train_model


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def train(demo_config, tmp_path, monkeypatch):
    """Trains 2 epochs of 4 steps; returns what it writes to an error stream."""

    def train(stream, **changes):
        cfg = Config.fromfile(demo_config(**changes))
        cfg.launcher = "none"
        cfg.work_dir = str(tmp_path / "run")
        cfg.experiment_name = f"bar_{tmp_path.name}_{len(changes)}"
        cfg.custom_hooks = [dict(type="mmresizer.ProgressBarHook", title="demo")]
        monkeypatch.setattr("sys.stderr", stream)
        train_model(cfg)
        return stream.getvalue()

    return train


def test_a_bar_with_the_time_left(train, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    bars = re.split(r"[\r\n]+", train(Terminal()))
    counts = [re.search(r"^demo: +(\d+)%.* (\d+)/8 ", bar) for bar in bars]
    counts = [(int(found[1]), int(found[2])) for found in counts if found]
    assert counts[0] == (0, 0)
    assert counts[-1] == (100, 8)
    assert re.search(r"\[\d\d:\d\d<\d\d:\d\d", bars[-2])


def test_nothing_elsewhere(train):
    assert "demo" not in train(io.StringIO())


def test_goes_on_where_the_training_does(train, tmp_path):
    train(io.StringIO(), **{"train_cfg.max_epochs": 1})
    checkpoint = str(tmp_path / "run" / "epoch_1.pth")
    output = train(Terminal(), resume=True, load_from=checkpoint)
    assert re.search(r"\r?demo: +50%.* 4/8 ", output)
    assert " 0/8 " not in output
