import numpy as np
import pytest
from torch.utils.data import DataLoader

from mmresizer.datasets import FineTextures
from mmresizer.utils import InputError


def images(**kwargs):
    dataset = FineTextures(**{"num_samples": 16, **kwargs})
    return np.stack([dataset[i]["img"] for i in range(len(dataset))])


def dominant_orientation(image):
    """Angle of the strongest frequency above a period of 6 px, in degrees, 0 to 180."""
    grey = image.mean(axis=2)
    spectrum = np.abs(np.fft.fft2(grey - grey.mean()))
    fy, fx = np.meshgrid(*map(np.fft.fftfreq, grey.shape), indexing="ij")
    spectrum[np.hypot(fx, fy) < 1 / 6] = 0
    peak = spectrum.argmax()
    return np.degrees(np.arctan2(fy.flat[peak], fx.flat[peak])) % 180


def test_class_is_the_orientation():
    dataset = FineTextures(num_samples=32)
    assert dataset.metainfo["classes"][1] == "22.5 degrees"
    for i in range(32):
        info = dataset[i]
        error = dominant_orientation(info["img"]) - 22.5 * info["gt_label"]
        assert abs((error + 90) % 180 - 90) < 5


def test_antialiasing_removes_the_grating():
    """At 24 px no frequency of the grating is left: what remains is background."""
    for image in images():
        grey = image.mean(axis=2)
        small = grey.reshape(24, 4, 24, 4).mean(axis=(1, 3))
        smooth = np.repeat(np.repeat(small, 4, 0), 4, 1)
        assert small.std() > 5
        assert (grey - smooth).std() > 15


def test_layout():
    dataset = FineTextures(num_samples=20, image_size=40, num_classes=4)
    assert len(dataset) == 20
    assert dataset[5]["img"].shape == (40, 40, 3)
    assert dataset[5]["img"].dtype == np.uint8
    labels = dataset.get_gt_labels()
    assert np.bincount(labels).tolist() == [5, 5, 5, 5]


def test_is_deterministic():
    """The same in another process and order; different by seed, split and index."""
    reference = images()
    loader = DataLoader(
        FineTextures(num_samples=16), batch_size=None, num_workers=2, collate_fn=None
    )
    loaded = [info["img"].numpy() for info in loader]
    np.testing.assert_array_equal(reference, np.stack(loaded))
    assert (images(seed=1) != reference).any(axis=(1, 2, 3)).all()
    assert (images(split="val") != reference).any(axis=(1, 2, 3)).all()
    assert len({image.tobytes() for image in reference}) == 16


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        (dict(split="test"), "split must be one of train, val, got 'test'"),
        (dict(num_samples=0), "num_samples must be an int of 1 or more, got 0"),
        (dict(seed=-1), "seed must be an int of 0 or more, got -1"),
        (dict(period=1.5), "at least 2 pixels.*1.5"),
    ],
)
def test_refuses(kwargs, message):
    with pytest.raises(InputError, match=message):
        FineTextures(**{"num_samples": 4, **kwargs})
