import csv
from types import SimpleNamespace

import pytest

from mmresizer.analysis import timing
from mmresizer.analysis.pair_benchmark import benchmark_pairs
from mmresizer.models import LearnedResizer
from mmresizer.utils import InputError

# Seconds of three turns for a batch of two images.
BASELINE, LEARNED = [0.2, 0.4, 0.8], [0.3, 0.5, 0.4]


@pytest.fixture
def timed(monkeypatch):
    """Replaces the clock; returns the models that were timed."""
    models = []

    class Timer:
        def __init__(self, stmt, globals, num_threads):
            model = globals["model"]
            assert not model.training
            assert model(globals["images"]).shape == (2, 8)
            learned = isinstance(model.resizer, LearnedResizer)
            self.times = iter([0.0, *(LEARNED if learned else BASELINE)])
            models.append(model)

        def timeit(self, number):
            return SimpleNamespace(mean=next(self.times))

    monkeypatch.setattr(timing, "Timer", Timer)
    return models


def test_ratios_are_of_turns(timed, demo_config, tmp_path):
    """1.5, 1.25 and 0.5: the median is not the ratio of the medians, 1."""
    path = demo_config("resizerx4", "resizerx4_a.py")
    demo_config("bilinearx4", "bilinearx4_a.py")
    out = tmp_path / "new" / "pairs.csv"
    (row,) = benchmark_pairs([str(path)], str(out), batch_size=2, repeats=3)
    assert (row.config, row.input, row.batch) == ("resizerx4_a", "96x96", 2)
    assert (row.baseline_ms, row.ms) == (200, 200)
    assert (row.lowest, row.ratio, row.highest) == (0.5, 1.25, 1.5)
    assert len(timed) == 2
    with open(out, newline="") as file:
        (saved,) = csv.DictReader(file)
    assert saved == {key: str(value) for key, value in vars(row).items()}


def test_runs(demo_config, tmp_path, capsys):
    path = demo_config("resizerx4", "resizerx4_a.py")
    demo_config("bilinearx4", "bilinearx4_a.py")
    (row,) = benchmark_pairs([str(path)], batch_size=1, repeats=1)
    assert row.lowest == row.ratio == row.highest
    assert capsys.readouterr().out.startswith("resizerx4_a: ")


def test_refuses(demo_config, tmp_path):
    path = str(demo_config(name="resizerx4_a.py"))
    with pytest.raises(InputError, match=r"resizerx4_a\.py' must be a learned one"):
        benchmark_pairs([path])
    with pytest.raises(InputError, match=r"must be a \.csv file.*'a.txt'"):
        benchmark_pairs([path], "a.txt")
