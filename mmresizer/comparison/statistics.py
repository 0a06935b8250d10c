"""Statistics of model variants, "arms", trained with several seeds.

Accuracies and their differences are in percent points of top-1 accuracy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, NamedTuple

import numpy as np
from scipy import stats

from mmresizer.utils import InputError

from .overview import show_difference

MIN_SEEDS = 2  # for an interval
# Resamples that are drawn at once, to bound the memory.
_CHUNK = 500


class Interval(NamedTuple):
    """A mean and its 95 % confidence interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class PairedDifference:
    """How much more accurate an arm is than its baseline, in percent points.

    Attributes:
        over_seeds (Interval): Student's t over the seeds' differences. It takes the
            images as given, not as a sample.
        bootstrap (Interval): Percentiles of a bootstrap that resamples seeds and images
            independently. With few seeds it understates how much these differ.
        mcnemar (tuple[float, ...]): Of each seed, the two-sided p value of McNemar's
            exact test.
        num_seeds, num_images (int): Sizes of the samples.
    """

    over_seeds: Interval
    bootstrap: Interval
    mcnemar: tuple[float, ...]
    num_seeds: int
    num_images: int

    @property
    def mean(self) -> float:
        """Mean over seeds and images, arm minus baseline."""
        return self.over_seeds.mean

    @property
    def low(self) -> float:
        """The lower of the two lower bounds.

        Each interval misses something, so the one to publish covers both.
        """
        return min(self.over_seeds.low, self.bootstrap.low)

    @property
    def high(self) -> float:
        """The higher of the two upper bounds."""
        return max(self.over_seeds.high, self.bootstrap.high)

    @property
    def verdict(self) -> Literal["better", "worse", "undecided"]:
        """What the arm is if both intervals lie on the same side of 0."""
        if self.low > 0:
            return "better"
        return "worse" if self.high < 0 else "undecided"


def mean_interval(values: Sequence[float]) -> Interval:
    """Returns the mean over seeds and its 95 % interval by Student's t.

    Args:
        values (Sequence[float]): One value a seed.

    Raises:
        InputError: If there are fewer than 2 values.
    """
    if len(values) < 2:
        raise InputError(
            f"an interval needs the values of at least 2 seeds, but got {len(values)}"
        )
    mean = float(np.mean(values))
    half = float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))
    return Interval(mean, mean - half, mean + half)


def paired_difference(
    arm: np.ndarray, baseline: np.ndarray, rng_seed: int = 0, resamples: int = 10_000
) -> PairedDifference:
    """Compares an arm with its baseline, seed by seed and image by image.

    Args:
        arm (np.ndarray): Whether the model is right; bool, of shape (seeds, images).
        baseline (np.ndarray): The same of the baseline, with the same seeds and images
            in the same order.
        rng_seed (int): Of the bootstrap. Defaults to 0.
        resamples (int): Of the bootstrap. Defaults to 10,000.

    Raises:
        InputError: If the arrays are not bool or not of one shape with at least 2 seeds
            and 1 image, or ``resamples`` is below 1.
    """
    for name, right in (("arm", arm), ("baseline", baseline)):
        if right.dtype != bool:
            raise InputError(f"{name} must be a bool array, but got {right.dtype}")
    if arm.shape != baseline.shape:
        raise InputError(
            "arm and baseline must have one shape (seeds, images), but got "
            f"{arm.shape} and {baseline.shape}"
        )
    if arm.ndim != 2 or arm.shape[0] < 2 or arm.shape[1] < 1:
        raise InputError(
            "arm and baseline must have the shape (seeds, images) with at least 2 "
            f"seeds and 1 image, but got {arm.shape}"
        )
    if resamples < 1:
        raise InputError(f"resamples must be at least 1, but got {resamples}")
    differences = arm.astype(np.int8) - baseline.astype(np.int8)
    num_seeds, num_images = differences.shape
    over_seeds = mean_interval(100 * differences.mean(axis=1))
    low, high = _bootstrap(differences, rng_seed, resamples)
    return PairedDifference(
        over_seeds=over_seeds,
        bootstrap=Interval(over_seeds.mean, low, high),
        mcnemar=tuple(map(_mcnemar, differences)),
        num_seeds=num_seeds,
        num_images=num_images,
    )


def describe(difference: PairedDifference, arm_name: str, baseline_name: str) -> str:
    """Returns the verdict, its samples and its interval as one sentence."""
    verdict = {
        "better": "is better than",
        "worse": "is worse than",
        "undecided": "is undecided against",
    }[difference.verdict]
    images = "image" if difference.num_images == 1 else "images"
    interval = (difference.mean, difference.low, difference.high)
    return (
        f"{arm_name} {verdict} {baseline_name} with {difference.num_seeds} seeds and "
        f"{difference.num_images:,} {images}: "
        f"{show_difference(interval, ' points')}."
    )


def worst_drop(accuracies: Sequence[float], warmup: int = 0) -> float:
    """Returns the largest drop of an epoch below the best of the epochs before it.

    Args:
        accuracies (Sequence[float]): One accuracy an epoch, in percent.
        warmup (int): Number of first epochs whose drops do not count; they may still be
            the best. Defaults to 0.

    Returns:
        float: In percent points; 0 if no epoch is below an earlier one.

    Raises:
        InputError: If ``warmup`` is negative or leaves no epoch.
    """
    if not 0 <= warmup < len(accuracies):
        raise InputError(
            f"warmup must be 0 or more and leave some of the {len(accuracies)} epochs, "
            f"but got {warmup}"
        )
    # The best includes the epoch itself, whose drop is then 0.
    best = accumulate(accuracies, max)
    drops = [top - value for top, value in zip(best, accuracies, strict=True)]
    return float(max(drops[warmup:]))


def _bootstrap(
    differences: np.ndarray, rng_seed: int, resamples: int
) -> tuple[float, float]:
    """Returns the 2.5 and 97.5 percentiles of the resampled means, in percent points.

    This is the pigeonhole bootstrap of Owen (2007).

    Args:
        differences (np.ndarray): -1, 0 or 1; int8, of shape (seeds, images).
        rng_seed (int): Of the draws.
        resamples (int): Number of means.
    """
    num_seeds, num_images = differences.shape
    # Images with equal columns are interchangeable: only their number is drawn.
    columns, first, counts = np.unique(
        differences, axis=1, return_index=True, return_counts=True
    )
    # By first occurrence, so that swapping arm and baseline does not change the draws.
    order = np.argsort(first)
    columns, counts = columns[:, order], counts[order]
    rng = np.random.default_rng(rng_seed)
    sums = []
    for start in range(0, resamples, _CHUNK):
        size = min(_CHUNK, resamples - start)
        seeds = rng.multinomial(num_seeds, np.full(num_seeds, 1 / num_seeds), size)
        images = rng.multinomial(num_images, counts / num_images, size)
        sums.append(((seeds @ columns) * images).sum(axis=1))
    means = 100 * np.concatenate(sums) / differences.size
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def _mcnemar(differences: np.ndarray) -> float:
    wins, losses = int((differences > 0).sum()), int((differences < 0).sum())
    if wins + losses == 0:
        return 1.0
    return float(stats.binomtest(wins, wins + losses).pvalue)
