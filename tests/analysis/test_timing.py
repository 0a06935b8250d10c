from types import SimpleNamespace

import pytest

from mmresizer.analysis.timing import time_in_turns


class Timer:
    """Takes the same time for each call; the first one takes longer."""

    def __init__(self, name, seconds, calls):
        self.name, self.seconds, self.calls = name, seconds, calls

    def timeit(self, number):
        first = not any(name == self.name for name, _ in self.calls)
        self.calls.append((self.name, number))
        return SimpleNamespace(mean=9.0 if first else self.seconds)


@pytest.mark.parametrize(
    ("min_seconds", "numbers"), [(0.0, (1, 1)), (0.05, (5, 1)), (0.5, (50, 2))]
)
def test_measures_in_turns(min_seconds, numbers):
    calls = []
    timers = [Timer("a", 0.01, calls), Timer("b", 0.2, calls)]
    times = time_in_turns(timers, 3, min_seconds)
    assert times == [[0.01, 0.2]] * 3
    assert calls[-6:] == [("a", numbers[0]), ("b", numbers[1])] * 3
