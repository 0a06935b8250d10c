import numpy as np
import pytest
import torch
from PIL import Image

from mmresizer.registry import DATASETS
from mmresizer.utils import InputError

SIZE = 12
NAMES = [("a", 0), ("a", 1), ("b", 2)]


@pytest.fixture
def make(tmp_path):
    """Builds the dataset from three images of noise; returns it and their pixels."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (len(NAMES), SIZE, SIZE, 3), np.uint8)
    for (folder, i), image in zip(NAMES, pixels, strict=True):
        (tmp_path / "data" / folder).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(tmp_path / "data" / folder / f"{i}.png")

    def make(**changes):
        cfg = dict(
            type="mmresizer.InMemoryImages",
            data_root=str(tmp_path / "data"),
            image_size=SIZE,
            pipeline=[dict(type="mmresizer.LoadImageFromFile")],
            device="cpu",
        )
        torch.manual_seed(changes.pop("seed", 0))
        return DATASETS.build({**cfg, **changes})

    # OpenMMLab's order of channels: BGR.
    return make, torch.from_numpy(pixels[..., ::-1].copy()).permute(0, 3, 1, 2)


def test_batches_are_the_images(make):
    build, pixels = make
    dataset = build()
    batch = dataset.__getitems__([2, 0])
    torch.testing.assert_close(batch["inputs"], pixels[[2, 0]], rtol=0, atol=0)
    assert batch["inputs"].is_contiguous(memory_format=torch.channels_last)
    assert [int(s.gt_label) for s in batch["data_samples"]] == [1, 0]
    one = dataset[2]
    torch.testing.assert_close(one["inputs"], pixels[2], rtol=0, atol=0)
    assert int(one["data_samples"].gt_label) == 1


def test_augmentation_only_moves_pixels(make):
    """Each image is one of the flips of one of the windows of the mirrored image."""
    build, pixels = make
    dataset = build(max_shift=2, flips=["horizontal", "vertical", "transpose"])
    padded = torch.nn.functional.pad(pixels.float(), (2,) * 4, mode="reflect")
    windows = {}
    for i, image in enumerate(padded):
        for y in range(5):
            for x in range(5):
                window = image[:, y : y + SIZE, x : x + SIZE]
                for k in range(4):
                    turned = window.rot90(k, (1, 2))
                    for mirrored in (turned, turned.flip(2)):
                        key = mirrored.to(torch.uint8).contiguous().numpy().tobytes()
                        windows[key] = i, y, x
    seen = set()
    for _ in range(100):
        for i, image in enumerate(dataset.__getitems__([0, 1, 2])["inputs"]):
            found = windows[image.contiguous().numpy().tobytes()]
            assert found[0] == i
            seen.add(found[1:])
    assert len(seen) == 25  # each shift was drawn


def test_draws_depend_on_the_seed_alone(make):
    build, _ = make
    first, same, other = (
        build(max_shift=4, seed=seed).__getitems__([0, 1, 2, 0, 1, 2])["inputs"]
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_cache(make, tmp_path, monkeypatch):
    build, pixels = make
    cache = tmp_path / "cache"
    build(cache_dir=str(cache)).__getitems__([0])
    dataset = build(cache_dir=str(cache))
    monkeypatch.setattr(dataset, "_decode", lambda: pytest.fail("decoded again"))
    batch = dataset.__getitems__([0, 1, 2])["inputs"]
    torch.testing.assert_close(batch, pixels, rtol=0, atol=0)
    # Another pipeline is another file.
    other = build(
        cache_dir=str(cache),
        image_size=6,
        pipeline=[
            dict(type="mmresizer.LoadImageFromFile"),
            dict(type="Resize", scale=6),
        ],
    )
    assert other.__getitems__([0])["inputs"].shape == (1, 3, 6, 6)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (dict(max_shift=12), "max_shift must be an int from 0 to 11"),
        (dict(flips=["diagonal"]), "any of horizontal, vertical, transpose, but got"),
        (dict(flips="horizontal"), "flips must be a list"),
    ],
)
def test_refuses_arguments(make, changes, sentence):
    with pytest.raises(InputError, match=sentence):
        make[0](**changes)


def test_refuses_other_sizes(make):
    with pytest.raises(InputError, match=r"0.png' has the shape \(12, 12, 3\)"):
        make[0](image_size=8).__getitems__([0])
