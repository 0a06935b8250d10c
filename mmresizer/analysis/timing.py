"""Times of several models or functions, measured side by side."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.benchmark import Timer


def time_in_turns(
    timers: Sequence[Timer], repeats: int, min_seconds: float = 0.0
) -> list[list[float]]:
    """Measures in turns, so that all see the same disturbance.

    Args:
        timers (Sequence[Timer]): What is measured.
        repeats (int): Number of turns.
        min_seconds (float): What is faster is called more than once a turn, for about
            this time. Defaults to 0: each is called once.

    Returns:
        list[list[float]]: For each turn the seconds of one call of each timer.
    """
    numbers = [1] * len(timers)
    for i, timer in enumerate(timers):
        timer.timeit(2)  # the first compiles, chooses kernels and allocates
        if min_seconds:
            numbers[i] = max(1, int(min_seconds / timer.timeit(1).mean))
    pairs = list(zip(timers, numbers, strict=True))
    return [[timer.timeit(n).mean for timer, n in pairs] for _ in range(repeats)]


def measure_latencies(
    models: Sequence[nn.Module], images: Sequence[Tensor], repeats: int = 7
) -> list[list[float]]:
    """Measures the inference of models, see :func:`time_in_turns`.

    Args:
        models (Sequence[nn.Module]): Are set to evaluation.
        images (Sequence[Tensor]): For each model a batch of shape (N, C, H, W).
        repeats (int): Number of batches of each model. Defaults to 7.

    Returns:
        list[list[float]]: For each repeat the seconds of each model.
    """
    timers = [
        Timer(
            "model(images)",
            globals=dict(model=model.eval(), images=batch),
            num_threads=torch.get_num_threads(),
        )
        for model, batch in zip(models, images, strict=True)
    ]
    with torch.no_grad():
        return time_in_turns(timers, repeats)
