import cv2
import numpy as np
import pytest

from conftest import DATA
from mmresizer.datasets import AVA, read_ratings
from mmresizer.registry import DATASETS
from mmresizer.utils import InputError

VOTES = {
    "11": [0, 1, 5, 17, 38, 36, 15, 6, 5, 1],
    "12": [10, 0, 0, 0, 0, 0, 0, 0, 0, 10],
    "13": [0, 0, 0, 0, 7, 0, 0, 0, 0, 0],
}


def line(row, name, votes):
    return " ".join(map(str, [row, name, *votes, 0, 0, 0]))


@pytest.fixture
def folder(tmp_path):
    """Three images with ratings, and one of each fault."""
    (tmp_path / "images").mkdir()
    rng = np.random.default_rng(0)
    for name in [*VOTES, "14", "15"]:
        image = rng.integers(0, 256, (20, 30, 3), np.uint8)
        cv2.imwrite(str(tmp_path / "images" / f"{name}.jpg"), image)
    whole = (tmp_path / "images" / "15.jpg").read_bytes()
    (tmp_path / "images" / "15.jpg").write_bytes(whole[: len(whole) // 2])
    lines = [line(i, name, votes) for i, (name, votes) in enumerate(VOTES.items(), 1)]
    lines += [
        line(4, "14", [0] * 10),
        line(5, "15", [1] * 10),
        line(6, "16", [1] * 10),
        line(7, "11", [2] * 10),
        "8 17 1 2 3",
        line(9, "18", ["x"] * 10),
        "",
    ]
    (tmp_path / "AVA.txt").write_text("\n".join(lines))
    return tmp_path


def load(folder, **kwargs):
    return AVA(data_root=str(folder), split="all", **kwargs)


def test_scores(folder):
    """Distribution, mean and deviation of the votes, by NumPy's own functions."""
    dataset = load(folder)
    assert len(dataset) == 3
    for sample, (name, votes) in zip(dataset, VOTES.items(), strict=True):
        assert sample["img_path"] == str(folder / "images" / f"{name}.jpg")
        each = np.repeat(np.arange(1, 11), votes)
        counts = np.bincount(each, minlength=11)[1:]
        np.testing.assert_allclose(sample["gt_score"], counts / len(each), rtol=1e-6)
        assert sample["gt_mean"] == pytest.approx(each.mean())
        assert sample["gt_std"] == pytest.approx(each.std(), abs=1e-6)


def test_tells_what_it_leaves_out_in_one_summary(folder, log):
    load(folder)
    (summary,) = (message for message in log if message.startswith("AVA, all"))
    assert summary == (
        "AVA, all: 3 images; left out: 2 malformed lines (line 8, line 9), "
        "1 images a second time (11), 1 images without votes (14), "
        "1 missing images (16), 1 broken images (15)"
    )
    assert len(load(folder, check_images=False)) == 4


def test_refuses_faults_if_asked_to(folder):
    with pytest.raises(InputError, match=r"at fault: 2 malformed lines \(line 8"):
        load(folder, on_fault="raise")
    lines = (folder / "AVA.txt").read_text().splitlines()[:3]
    (folder / "AVA.txt").write_text("\n".join(lines))
    assert len(load(folder, on_fault="raise")) == 3


def test_random_split_is_the_same_whatever_images_are_there(tmp_path):
    (tmp_path / "images").mkdir()
    names = [str(i) for i in range(100, 150)]
    lines = [line(i, name, [1] * 10) for i, name in enumerate(names)]
    (tmp_path / "AVA.txt").write_text("\n".join(lines))

    def split(kind, **kwargs):
        dataset = AVA(data_root=str(tmp_path), split=kind, check_images=False, **kwargs)
        return {sample["img_path"][-7:-4] for sample in dataset}

    for name in names:
        (tmp_path / "images" / f"{name}.jpg").touch()
    train, test = split("train", test_part=0.2), split("test", test_part=0.2)
    assert len(test) == 10
    assert train | test == set(names)
    assert not train & test
    assert split("test", test_part=0.2, seed=1) != test
    gone = min(test)
    (tmp_path / "images" / f"{gone}.jpg").unlink()
    assert split("test", test_part=0.2) == test - {gone}


def test_official_split(folder):
    (folder / "a_test.jpgl").write_text("12\n99999\n")
    (folder / "b_test.jpgl").write_text("13\n")
    lists = [str(folder / "a_test.jpgl"), str(folder / "b_test.jpgl")]

    def names(**kwargs):
        dataset = AVA(data_root=str(folder), test_lists=lists, **kwargs)
        return [sample["img_path"][-6:-4] for sample in dataset]

    assert names(split="test") == ["12", "13"]
    assert names(split="train") == ["11"]
    with pytest.raises(InputError, match=r"test lists without a rating \(99999\)"):
        names(split="train", on_fault="raise")
    (folder / "b_test.jpgl").write_text("<html>")
    with pytest.raises(
        InputError, match=r"b_test\.jpgl' must have one name of the table"
    ):
        names(split="test")


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        (dict(split="val"), "split must be one of train, test, all, got 'val'"),
        (dict(test_part=1), "test_part must be between 0 and 1, got 1"),
        (dict(on_fault="stop"), "on_fault must be 'skip' or 'raise', got 'stop'"),
        (dict(seed="a"), "seed must be an int of 0 or more, got 'a'"),
        (dict(test_lists=[]), r"test_lists must name a file or more, got \[\]"),
        (
            dict(ann_file="none.txt"),
            r"the table of ratings '.*none\.txt' does not exist",
        ),
        (dict(data_prefix="none"), r"the folder of images '.*none' does not exist"),
        (dict(test_lists="none"), "the list of test images 'none' does not exist"),
    ],
)
def test_refuses(folder, kwargs, message):
    with pytest.raises(InputError, match=message):
        AVA(data_root=str(folder), **kwargs)


def test_refuses_a_file_without_ratings(folder):
    (folder / "AVA.txt").write_text("<html>404</html>\n")
    with pytest.raises(InputError, match="must hold one rating per line: 15 numbers"):
        load(folder)


def test_nothing_left(folder):
    for file in (folder / "images").iterdir():
        file.unlink()
    with pytest.raises(InputError, match="AVA, all: 0 images; left out"):
        load(folder)


def test_in_a_pipeline(folder):
    dataset = DATASETS.build(
        dict(
            type="mmresizer.AVA",
            data_root=str(folder),
            split="all",
            pipeline=[
                dict(type="mmresizer.LoadImageFromFile"),
                dict(
                    type="mmpretrain.PackInputs", algorithm_keys=("gt_mean", "gt_std")
                ),
            ],
        )
    )
    sample = dataset[1]
    assert sample["inputs"].shape == (3, 20, 30)
    assert sample["data_samples"].gt_score.tolist() == [0.5, *[0] * 8, 0.5]
    assert sample["data_samples"].gt_mean == 5.5
    assert sample["data_samples"].gt_std == 4.5


@pytest.mark.skipif(
    not (DATA / "ava" / "AVA.txt").is_file(), reason="needs data/ava/AVA.txt"
)
def test_real_ratings():
    ratings = read_ratings(DATA / "ava" / "AVA.txt")
    assert len(ratings.ids) == 25_551
    assert not any(ratings.faults.values())
    table = np.loadtxt(DATA / "ava" / "AVA.txt", dtype=int)
    assert ratings.ids == [str(name) for name in table[:, 1]]
    for i in range(0, len(table), 251):
        each = np.repeat(np.arange(1, 11), table[i, 2:12])
        assert ratings.means[i] == pytest.approx(each.mean())
        assert ratings.stds[i] == pytest.approx(each.std(), abs=1e-6)
    scores, weights = np.arange(1, 11), table[:, 2:12]
    np.testing.assert_allclose(
        ratings.means, [np.average(scores, weights=w) for w in weights]
    )
