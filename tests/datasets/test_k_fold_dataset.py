import numpy as np
import pytest
import torch
from mmengine.runner import Runner
from PIL import Image

from mmresizer.registry import DATASETS

SIZE = 8


@pytest.fixture
def loader(tmp_path):
    """Makes the loader of a part of ten images, whose pixels are their number."""
    rng = np.random.default_rng(0)
    for i in range(10):
        (tmp_path / "data" / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        image = rng.integers(0, 2, (SIZE, SIZE, 3), np.uint8) * 10 + i
        Image.fromarray(image).save(tmp_path / "data" / "ab"[i % 2] / f"{i}.png")

    def make(test_mode, **changes):
        images = dict(
            type="mmresizer.InMemoryImages",
            data_root=str(tmp_path / "data"),
            image_size=SIZE,
            max_shift=2,
            flips=["horizontal"],
            pipeline=[dict(type="mmresizer.LoadImageFromFile")],
            device="cpu",
        )
        return Runner.build_dataloader(
            dict(
                batch_size=3,
                num_workers=0,
                collate_fn=dict(type="take_batch"),
                sampler=dict(type="DefaultSampler", shuffle=False),
                dataset=dict(
                    type="mmresizer.KFoldDataset",
                    dataset=images,
                    num_splits=5,
                    seed=0,
                    test_mode=test_mode,
                    **changes,
                ),
            )
        )

    return make


def numbers(batches):
    return [int(image.min()) % 10 for batch in batches for image in batch["inputs"]]


@pytest.mark.parametrize("fold", [0, 4])
def test_parts_are_loaded_in_whole_batches(loader, fold):
    train, val = (list(loader(test_mode, fold=fold)) for test_mode in (False, True))
    assert [len(batch["inputs"]) for batch in train] == [3, 3, 2]
    assert [len(batch["inputs"]) for batch in val] == [2]
    assert sorted(numbers(train) + numbers(val)) == list(range(10))
    labels = [int(s.gt_label) for batch in train for s in batch["data_samples"]]
    assert labels == [number % 2 for number in numbers(train)]


def test_only_the_training_part_is_augmented(loader):
    for test_mode in (False, True):
        data = loader(test_mode, fold=0)
        stored = data.dataset.dataset.images.permute(0, 3, 1, 2)
        seen = torch.cat([batch["inputs"] for batch in data])
        assert torch.equal(seen, stored) is test_mode


def test_datasets_without_batches_keep_their_way():
    textures = dict(type="mmresizer.FineTextures", num_samples=20)
    part = DATASETS.build(
        dict(type="mmresizer.KFoldDataset", dataset=textures, num_splits=5)
    )
    assert part.__getitems__ is None
    assert len(part) == 16
