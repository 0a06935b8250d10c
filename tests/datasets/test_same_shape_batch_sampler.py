import itertools
from collections import Counter

import cv2
import numpy as np
import pytest
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmengine.runner import Runner

from mmresizer.datasets import DegradedImages, SameShapeBatchSampler
from mmresizer.utils import InputError

SIZES = [(30, 40)] * 13 + [(40, 30)] * 6 + [(32, 32)] * 4
PIPELINE = [dict(type="mmresizer.AspectRatioResize", size=32), dict(type="PackInputs")]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    order = np.random.default_rng(0).permutation(len(SIZES))
    for i, j in enumerate(order):
        image = np.full((*SIZES[j], 3), 100, np.uint8)
        cv2.imwrite(str(folder / f"{i:02}.png"), image)
    return DegradedImages(data_root=str(folder), pipeline=PIPELINE)


def make(dataset, monkeypatch, rank=0, world_size=1, shuffle=True, epoch=0):
    monkeypatch.setattr(
        "mmengine.dataset.sampler.get_dist_info", lambda: (rank, world_size)
    )
    sampler = DefaultSampler(dataset, shuffle=shuffle, seed=3)
    sampler.set_epoch(epoch)
    return SameShapeBatchSampler(sampler, batch_size=4)


def ratio(dataset, index):
    height, width = dataset.get_image_size(index)
    return height > width, height < width


@pytest.mark.parametrize("world_size", [1, 2, 3])
@pytest.mark.parametrize("epoch", [0, 5])
def test_training(dataset, monkeypatch, world_size, epoch):
    """Each image comes, in batches of one ratio, as many for each process."""
    found = [
        make(dataset, monkeypatch, rank, world_size, epoch=epoch)
        for rank in range(world_size)
    ]
    ranks = [list(batches) for batches in found]
    assert {len(batches) for batches in ranks} == {len(b) for b in found}
    assert len(found[0]) == -(-(4 + 2 + 1) // world_size)  # 13, 6 and 4 images
    for batch in itertools.chain(*ranks):
        assert len({ratio(dataset, i) for i in batch}) == 1
        assert 1 <= len(batch) <= 4
    together = Counter(itertools.chain(*itertools.chain(*ranks)))
    assert set(together) == set(range(len(SIZES)))
    if world_size == 1:
        assert set(together.values()) == {1}


def test_epochs_differ_and_repeat(dataset, monkeypatch):
    first, again, other = (
        list(make(dataset, monkeypatch, epoch=epoch)) for epoch in (0, 0, 1)
    )
    assert first == again != other
    # Neither the batches nor what is in them follows the order of the files.
    assert sorted(map(sorted, first)) != sorted(map(sorted, other))
    assert len({ratio(dataset, batch[0]) for batch in first[:4]}) > 1


@pytest.mark.parametrize("world_size", [1, 2, 3, 4, 5])
def test_results_of_all_processes_are_those_of_the_dataset(
    dataset, monkeypatch, world_size
):
    """mmengine takes them in turns and cuts off what is beyond the dataset's end."""
    ranks = []
    for rank in range(world_size):
        batches = make(dataset, monkeypatch, rank, world_size, shuffle=False)
        listed = list(batches)
        assert len(listed) == len(batches)
        for batch in listed:
            assert len({ratio(dataset, i) for i in batch}) == 1
        ranks.append(list(itertools.chain(*listed)))
    assert len({len(indices) for indices in ranks}) == 1
    together = list(itertools.chain(*zip(*ranks, strict=True)))[: len(SIZES)]
    assert sorted(together) == list(range(len(SIZES)))


def test_dataloader(dataset, monkeypatch):
    """As a config names it."""
    loader = Runner.build_dataloader(
        dict(
            dataset=dataset,
            batch_size=4,
            num_workers=0,
            sampler=dict(type="DefaultSampler", shuffle=True),
            batch_sampler=dict(type="mmresizer.SameShapeBatchSampler"),
            collate_fn=dict(type="default_collate"),
        )
    )
    shapes = Counter()
    for batch in loader:
        shapes[tuple(batch["inputs"].shape[2:])] += len(batch["inputs"])
    assert shapes == {(32, 32): 4, (32, 48): 13, (48, 32): 6}


def test_refuses(dataset):
    plain = DegradedImages(data_root=dataset.data_root, pipeline=PIPELINE[1:])
    for sampler, size, message in (
        (DefaultSampler(dataset), 0, "batch_size must be an int of 1 or more, got 0"),
        (InfiniteSampler(dataset), 4, "got InfiniteSampler"),
        (DefaultSampler(plain), 4, "AspectRatioResize in the pipeline"),
        (DefaultSampler([1, 2]), 4, "got list"),
    ):
        with pytest.raises(InputError, match=message):
            SameShapeBatchSampler(sampler, batch_size=size)
