"""Against formulas, SciPy, and one process against two."""

import math

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.hooks import CheckpointHook, EarlyStoppingHook
from scipy import stats

from mmresizer.evaluation import IQAMetric
from mmresizer.utils import InputError


def make_samples(count, seed=0):
    rng = np.random.default_rng(seed)
    given = rng.dirichlet(np.ones(10), count)
    predicted = 0.5 * given + 0.5 * rng.dirichlet(np.ones(10), count)
    scores = np.arange(1, 11)
    return [
        dict(
            gt_score=torch.tensor(g),
            pred_score=torch.tensor(p),
            pred_mean=torch.tensor(p @ scores),
        )
        for g, p in zip(given, predicted, strict=True)
    ]


def evaluate(samples, **kwargs):
    metric = IQAMetric(**kwargs)
    metric.process(None, samples[:3])
    metric.process(None, samples[3:])
    return metric.evaluate(len(samples))


def test_agrees_with_scipy():
    samples = make_samples(20)
    found = evaluate(samples)
    scores = np.arange(1, 11)
    given = np.array([s["gt_score"].numpy() for s in samples])
    predicted = np.array([s["pred_score"].numpy() for s in samples])
    x, y = predicted @ scores, given @ scores
    assert found["iqa/PLCC"] == pytest.approx(np.corrcoef(x, y)[0, 1])
    ranks = [np.argsort(np.argsort(v)) for v in (x, y)]
    assert found["iqa/SRCC"] == pytest.approx(np.corrcoef(*ranks)[0, 1])
    pairs = [
        np.sign((x[i] - x[j]) * (y[i] - y[j])) for i in range(20) for j in range(i)
    ]
    assert found["iqa/KRCC"] == pytest.approx(np.mean(pairs))
    assert found["iqa/MSE"] == pytest.approx(np.mean((x - y) ** 2))
    distances = [
        stats.wasserstein_distance(scores, scores, p, g) / 10
        for p, g in zip(predicted, given, strict=True)
    ]
    assert found["iqa/EMD"] == pytest.approx(np.mean(distances))


def test_by_hand():
    """Means 1, 2, 3 for given means 1, 3, 2."""
    samples = [
        dict(gt_score=torch.eye(10)[g - 1], pred_mean=torch.tensor(float(p)))
        for p, g in ((1, 1), (2, 3), (3, 2))
    ]
    found = evaluate(samples)
    assert found == {
        "iqa/PLCC": pytest.approx(0.5),
        "iqa/SRCC": pytest.approx(0.5),
        "iqa/KRCC": pytest.approx(1 / 3),
        "iqa/MSE": pytest.approx(2 / 3),
    }


def test_constant_predictions_have_no_correlation():
    samples = make_samples(5)
    for sample in samples:
        sample["pred_score"] = torch.full((10,), 0.1)
    found = evaluate(samples)
    assert all(math.isnan(found[f"iqa/{name}"]) for name in ("PLCC", "SRCC", "KRCC"))
    assert found["iqa/MSE"] > 0


def run_process(rank, address, out):
    dist.init_process_group("gloo", init_method=address, rank=rank, world_size=2)
    samples = make_samples(7)
    # As mmengine's sampler deals them out, with one twice to make it even.
    mine = [*samples, samples[0]][rank::2]
    metric = IQAMetric()
    metric.process(None, mine)
    found = metric.evaluate(len(samples))
    if rank == 0:
        torch.save(found, out)
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_and_an_uneven_split(tmp_path):
    address = f"file://{tmp_path / 'store'}"
    mp.spawn(run_process, (address, tmp_path / "found.pt"), nprocs=2)
    assert torch.load(tmp_path / "found.pt") == evaluate(make_samples(7))


def test_refuses_another_power():
    with pytest.raises(InputError, match="emd_r must be 1 or 2, got 0"):
        IQAMetric(emd_r=0)


@pytest.mark.parametrize(
    ("metric", "rule"),
    [
        ("PLCC", "greater"),
        ("SRCC", "greater"),
        ("KRCC", "greater"),
        ("MSE", "less"),
        ("EMD", "less"),
    ],
)
def test_hooks_know_which_is_best(metric, rule):
    assert CheckpointHook(save_best=f"iqa/{metric}").rules == [rule]
    assert EarlyStoppingHook(monitor=f"iqa/{metric}").rule == rule
