import cv2
import numpy as np
import pytest
from scipy.stats import spearmanr

from mmresizer.datasets import DegradedImages, DegradedTextures
from mmresizer.datasets.degraded import DEGRADATIONS, degrade, score_distribution
from mmresizer.utils import InputError


@pytest.fixture(scope="module")
def image():
    rng = np.random.default_rng(0)
    coarse = cv2.resize(rng.uniform(0, 255, (24, 24, 3)), (96, 96))
    return coarse.astype(np.uint8)


def psnr(a, b):
    return 10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2))


@pytest.mark.parametrize("kind", DEGRADATIONS)
def test_gets_worse_with_the_severity(image, kind):
    quality = [
        psnr(degrade(image, kind, severity, np.random.default_rng(0)), image)
        for severity in np.linspace(0.2, 1, 5)
    ]
    assert np.all(np.diff(quality) < -0.5)


@pytest.mark.parametrize("kind", ["blur", "noise", "contrast"])
def test_severity_0_changes_nothing(image, kind):
    found = degrade(image, kind, 0.0, np.random.default_rng(0))
    np.testing.assert_array_equal(found, image)


def test_noise_and_contrast_are_of_the_known_amount():
    grey = np.full((200, 200, 3), 128, np.uint8)
    noisy = degrade(grey, "noise", 0.5, np.random.default_rng(0)).astype(float)
    assert noisy.std() == pytest.approx(20, rel=0.02)
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (100, 100, 3), np.uint8)
    flat = degrade(image, "contrast", 1.0, rng)
    assert flat.std() / image.std() == pytest.approx(0.25, rel=0.02)


def test_scores():
    scores = np.arange(1, 11)
    for mean in (3.0, 5.5, 8.0):
        distribution = score_distribution(mean)
        assert distribution.sum() == pytest.approx(1, abs=1e-6)
        assert distribution @ scores == pytest.approx(mean, abs=0.1)
    np.testing.assert_allclose(score_distribution(4), score_distribution(7)[::-1])


def test_textures():
    dataset = DegradedTextures(40, image_size=64)
    again = DegradedTextures(40, image_size=64)
    other = DegradedTextures(40, image_size=64, split="val")
    means = []
    for i in range(40):
        sample = dataset.get_data_info(i)
        assert sample["img"].shape == (64, 64, 3)
        assert sample["img"].dtype == np.uint8
        np.testing.assert_array_equal(sample["img"], again.get_data_info(i)["img"])
        assert not np.array_equal(sample["img"], other.get_data_info(i)["img"])
        each = sample["gt_score"] @ np.arange(1, 11)
        assert sample["gt_mean"] == pytest.approx(each)
        means.append(sample["gt_mean"])
    assert min(means) < 4
    assert max(means) > 7


def test_sharpness_tells_much_of_the_score():
    """The task can be learned: among blurred images a Laplacian orders them."""
    rng = np.random.default_rng(0)
    texture = DegradedTextures(1)
    severities = np.linspace(0.1, 1, 10)
    sharp = [
        cv2.Laplacian(degrade(texture._make_image({}, rng), "blur", s, rng), 3).std()
        for s in severities
    ]
    assert spearmanr(severities, sharp).statistic < -0.8


def test_images(image_folder):
    dataset = DegradedImages(str(image_folder / "train"), repeats=2)
    files = sorted((image_folder / "train").rglob("*.jpg"))
    assert len(dataset) == 2 * len(files)
    first, second = dataset.get_data_info(0), dataset.get_data_info(len(files))
    assert first["path"] == second["path"] == str(files[0])
    assert not np.array_equal(first["img"], second["img"])
    assert first["gt_mean"] != second["gt_mean"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DegradedTextures(0), "num_samples must be an int of 1 or more, got 0"),
        (lambda: DegradedTextures(1, split="test"), "split must be one of train, val"),
        (lambda: DegradedTextures(1, seed=-1), "seed must be an int of 0 .*, got -1"),
        (lambda: DegradedImages("nowhere"), "the folder 'nowhere' has no images"),
        (
            lambda: DegradedImages("x", repeats=0),
            "repeats must be an int of 1 .*, got 0",
        ),
        (
            lambda: degrade(np.zeros((4, 4, 3), np.uint8), "rain", 1.0, None),
            "kind must be one of blur, noise, jpeg, contrast, got 'rain'",
        ),
    ],
)
def test_refuses(make, message):
    with pytest.raises(InputError, match=message):
        make()
