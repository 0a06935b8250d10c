from itertools import product

import numpy as np
import pytest

from mmresizer.comparison.statistics import (
    Interval,
    PairedDifference,
    describe,
    mean_interval,
    paired_difference,
    worst_drop,
)
from mmresizer.utils import InputError


def compare(differences, **kwargs):
    """Compares an arm and a baseline that differ by a matrix of -1, 0 and 1."""
    differences = np.array(differences)
    return paired_difference(differences > 0, differences < 0, **kwargs)


def rows(*wins, num_images=100):
    """Differences of seeds that win so many images, or lose them if negative."""
    images = np.arange(num_images)
    return [np.sign(number) * (images < abs(number)) for number in wins]


def test_mean_interval():
    """Standard error 1 / sqrt(3); 4.303 is the table's t of 2 degrees of freedom."""
    half = 4.303 / 3**0.5
    interval = mean_interval([1, 2, 3])
    assert interval == pytest.approx((2, 2 - half, 2 + half), abs=1e-3)
    assert mean_interval([70.5, 70.5]) == (70.5, 70.5, 70.5)


def test_interval_over_seeds():
    half = 4.303 / 3**0.5
    difference = compare(rows(1, 2, 3))
    assert difference.over_seeds == pytest.approx((2, 2 - half, 2 + half), abs=1e-3)
    assert difference.mean == difference.bootstrap.mean == difference.over_seeds.mean
    assert (difference.num_seeds, difference.num_images) == (3, 100)


def test_mcnemar():
    """8 to 2: twice (1 + 10 + 45) of 1,024 outcomes are as extreme."""
    differences = np.zeros((3, 20), int)
    differences[0, :8], differences[0, 8:10] = 1, -1
    differences[1, :3] = -1
    assert compare(differences).mcnemar == pytest.approx((0.109375, 0.25, 1))


@pytest.mark.parametrize(
    "differences",
    [
        [[1, 0], [0, -1]],
        [[1, 1, 0], [0, 1, -1]],
        # The first two images have equal columns.
        [[1, 1, 0, -1], [0, 0, 1, 1], [1, 1, -1, 0]],
    ],
)
def test_bootstrap_is_of_all_resamples(differences):
    """All draws of seeds and of images are equally likely."""
    seeds, images = (range(size) for size in np.shape(differences))
    means = [
        100 * np.mean([[differences[seed][image] for image in row] for seed in column])
        for column in product(seeds, repeat=len(seeds))
        for row in product(images, repeat=len(images))
    ]
    # Few equally likely values: between two of them there is nothing to interpolate.
    expected = np.percentile(means, [2.5, 97.5], method="inverted_cdf")
    difference = compare(differences, resamples=200_000)
    assert difference.bootstrap[1:] == pytest.approx(expected)


def test_bootstrap_is_repeatable():
    differences = np.random.default_rng(0).integers(-1, 2, (3, 50))
    # Neither a whole chunk nor one chunk.
    first = compare(differences, rng_seed=1, resamples=1234)
    assert compare(differences, rng_seed=1, resamples=1234) == first
    assert compare(differences, rng_seed=2, resamples=1234) != first
    single = compare(differences, resamples=1).bootstrap
    assert single.low == single.high


def test_copy_is_undecided():
    right = np.random.default_rng(0).random((3, 50)) < 0.7
    difference = paired_difference(right, right)
    assert difference.over_seeds == difference.bootstrap == (0, 0, 0)
    assert (difference.low, difference.high) == (0, 0)
    assert difference.mcnemar == (1, 1, 1)
    assert difference.verdict == "undecided"


@pytest.mark.parametrize(
    ("differences", "verdict"),
    [
        (rows(30, 32, 31), "better"),
        (rows(-30, -32, -31), "worse"),
        (rows(20, -20, 3), "undecided"),
        # Equal seeds that differ by one image: a point above 0 by the t interval alone.
        (rows(1, 1, 1), "undecided"),
        # Two unequal seeds: above 0 by the bootstrap alone.
        (rows(10, 40), "undecided"),
    ],
)
def test_verdict(differences, verdict):
    difference = compare(differences)
    assert difference.verdict == verdict
    assert difference.low == min(difference.over_seeds.low, difference.bootstrap.low)
    assert difference.high == max(difference.over_seeds.high, difference.bootstrap.high)


def test_verdict_needs_both_intervals():
    point = compare(rows(1, 1, 1))
    assert point.over_seeds == pytest.approx((1, 1, 1))
    assert point.bootstrap.low == 0
    wide = compare(rows(10, 40))
    assert wide.over_seeds.low < 0 < wide.bootstrap.low


def test_swapping_negates():
    rng = np.random.default_rng(0)
    arm, baseline = rng.random((3, 50)) < 0.8, rng.random((3, 50)) < 0.6
    difference = paired_difference(arm, baseline)
    swapped = paired_difference(baseline, arm)
    for name in ("over_seeds", "bootstrap"):
        mean, low, high = getattr(difference, name)
        assert getattr(swapped, name) == pytest.approx((-mean, -high, -low))
    assert swapped.mcnemar == pytest.approx(difference.mcnemar)


@pytest.mark.parametrize(
    ("interval", "num_images", "sentence"),
    [
        (
            Interval(0.4, -1.9, 2.7),
            240,
            "learned is undecided against bilinear with 3 seeds and 240 images: "
            "+0.4 points (-1.9 to +2.7).",
        ),
        (
            Interval(2, 1, 3),
            3925,
            "learned is better than bilinear with 3 seeds and 3,925 images: "
            "+2.0 points (+1.0 to +3.0).",
        ),
        (
            Interval(-2, -3, -0.01),
            1,
            "learned is worse than bilinear with 3 seeds and 1 image: "
            "-2.0 points (-3.0 to +0.0).",
        ),
    ],
)
def test_describe(interval, num_images, sentence):
    difference = PairedDifference(interval, interval, (1.0,) * 3, 3, num_images)
    assert describe(difference, "learned", "bilinear") == sentence


@pytest.mark.parametrize(
    ("accuracies", "warmup", "drop"),
    [
        ([10, 20, 20, 30], 0, 0),
        ([10], 0, 0),
        ([50, 40, 60, 55], 0, 10),
        # Below the best, not below the epoch before: 60 - 30.
        ([60, 45, 30, 50], 0, 30),
        # The drops of the first two epochs do not count, but their best does: 60 - 55.
        ([60, 10, 55, 70], 2, 5),
        ([50, 40, 60, 55], 3, 5),
    ],
)
def test_worst_drop(accuracies, warmup, drop):
    assert worst_drop(accuracies, warmup) == drop


def test_refuses():
    right = np.ones((2, 3), bool)
    with pytest.raises(InputError, match=r"at least 2 seeds, but got 1$"):
        mean_interval([1.0])
    with pytest.raises(InputError, match=r"^baseline must be a bool array.* int64$"):
        paired_difference(right, right.astype(np.int64))
    with pytest.raises(InputError, match=r"one shape .*\(2, 3\) and \(2, 2\)$"):
        paired_difference(right, right[:, :2])
    for wrong in (right[0], right[:1], right[:, :0]):
        with pytest.raises(InputError, match="at least 2 seeds and 1 image"):
            paired_difference(wrong, wrong)
    with pytest.raises(InputError, match="resamples must be at least 1, but got 0"):
        paired_difference(right, right, resamples=0)
    for accuracies, warmup in (([], 0), ([1, 2], 2), ([1, 2], -1)):
        with pytest.raises(InputError, match=f"warmup must .* but got {warmup}$"):
            worst_drop(accuracies, warmup)
