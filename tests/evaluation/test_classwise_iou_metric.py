"""ClasswiseIoUMetric against MMSegmentation, SciPy and hand-computed cases."""

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.evaluation import IoUMetric
from mmseg.structures import SegDataSample
from scipy.ndimage import distance_transform_cdt

from mmresizer.evaluation import ClasswiseIoUMetric
from mmresizer.evaluation.classwise_iou_metric import _find_boundary
from mmresizer.utils import InputError

CLASSES = ("background", "disc", "line")


def make_sample(predicted, labels):
    pixels = {
        name: PixelData(data=torch.as_tensor(np.asarray(data))[None])
        for name, data in (("pred_sem_seg", predicted), ("gt_sem_seg", labels))
    }
    return SegDataSample(**pixels).to_dict()


def measure(*pairs, classes=CLASSES, kind=ClasswiseIoUMetric, **kwargs):
    metric = kind(**kwargs)
    metric.dataset_meta = dict(classes=classes)
    for pair in pairs:
        metric.process({}, [make_sample(*pair)])
    return metric.compute_metrics(metric.results)


def make_pairs():
    rng = np.random.default_rng(0)
    for shape in ((40, 60), (33, 25)):
        labels = np.kron(rng.integers(0, 3, (5, 5)), np.ones((12, 12), int))
        labels = labels[: shape[0], : shape[1]]
        predicted = np.where(rng.random(labels.shape) < 0.8, labels, 1)
        labels = np.where(rng.random(labels.shape) < 0.1, 255, labels)
        yield predicted, labels


def test_regions_are_those_of_mmsegmentation():
    ours = measure(*make_pairs())
    theirs = measure(*make_pairs(), kind=IoUMetric)
    assert ours["mIoU"] == pytest.approx(theirs["mIoU"], abs=0.005)  # it rounds
    assert ours["aAcc"] == pytest.approx(theirs["aAcc"], abs=0.005)
    assert np.mean([ours[f"IoU/{name}"] for name in CLASSES]) == pytest.approx(
        ours["mIoU"]
    )


def test_by_hand():
    """A square of 6 x 6 px, predicted one row lower; the boundary is 1 px wide."""
    labels, predicted = np.zeros((2, 10, 10), int)
    labels[2:8, 2:8] = 1
    predicted[3:9, 2:8] = 1
    found = measure((predicted, labels), classes=CLASSES[:2], distance=0.01)
    assert found["IoU/disc"] == pytest.approx(100 * 30 / 42)
    assert found["IoU/background"] == pytest.approx(100 * 58 / 70)
    assert found["mIoU"] == pytest.approx(50 * (30 / 42 + 58 / 70))
    assert found["aAcc"] == pytest.approx(88)
    # Of 20 px each, in common are the five px of both sides in which both are.
    assert found["boundary_IoU/disc"] == pytest.approx(100 * 10 / 30)


@pytest.mark.parametrize("distance", [1, 2, 5])
def test_boundaries_are_those_of_the_distance(distance):
    """To the nearest pixel outside, in steps to all eight neighbours."""
    y, x = np.ogrid[:50, :70]
    region = ((y - 20) ** 2 + (x - 30) ** 2 < 250) | (x > 60) | (y == 45)
    steps = distance_transform_cdt(np.pad(region, 1), "chessboard")[1:-1, 1:-1]
    expected = region & (steps <= distance)
    assert np.array_equal(_find_boundary(region, distance), expected)
    assert expected.any()
    assert not np.array_equal(expected, region)


def test_perfect_predictions():
    found = measure(*((labels % 255, labels) for _, labels in make_pairs()))
    assert set(found.values()) == {100.0}
    assert len(found) == 3 + 2 * len(CLASSES)


def test_the_distance_follows_the_image():
    """Of 300 x 400 px, 2 % of the diagonal are 10 px."""
    labels = np.zeros((300, 400), int)
    labels[50:250, 50:350] = 1
    predicted = labels.copy()
    predicted[60:240, 60:340] = 0  # all but the boundary is wrong
    found = measure((predicted, labels))
    assert found["boundary_IoU/disc"] == 100
    predicted[59:241, 59:341] = 0
    assert measure((predicted, labels))["boundary_IoU/disc"] < 100


def test_classes_that_are_not_labelled_have_no_score():
    labels = np.zeros((20, 20), int)
    found = measure((labels, labels))
    assert found == {
        "mIoU": 100,
        "mBoundaryIoU": 100,
        "aAcc": 100,
        "IoU/background": 100,
        "boundary_IoU/background": 100,
    }
    predicted = labels.copy()
    predicted[:10] = 2  # wrongly, which the mean shows
    assert measure((predicted, labels))["mIoU"] == pytest.approx(25)


@pytest.mark.parametrize("value", [0, -0.1, "0.02", None])
def test_refuses_a_distance(value):
    with pytest.raises(InputError, match="distance must be a number above 0, but got"):
        ClasswiseIoUMetric(distance=value)
