"""The photographs of places."""

import pytest

from mmresizer.datasets.preparation import check_dataset, scene_15
from mmresizer.utils import InputError


@pytest.fixture
def places(tmp_path, monkeypatch):
    """One image a class and split; that of mountains for training is one for testing.

    Its name there is another one, and the folders of the splits differ in case.
    """
    monkeypatch.setattr(scene_15, "_NUM_IMAGES", {"train": 15, "test": 15})
    for split, folders in scene_15._FOLDERS.items():
        for name in folders:
            (tmp_path / split / name).mkdir(parents=True)
            content = f"{split} {name}"
            if name == "Mountain":
                content = "test store"
            (tmp_path / split / name / f"{split}.jpg").write_text(content)
    return tmp_path


def test_lists(places):
    assert check_dataset("scene-15", places) == (
        "scene-15: 15 places, 14 + 15 images; left out of training, as their files are "
        "for validation too: 1"
    )
    train, val = (
        [line.split() for line in (places / f"meta/{n}.txt").read_text().splitlines()]
        for n in ("train", "val")
    )
    assert len(train) == 14
    assert ["train/Coast/train.jpg", "1"] in train
    assert ["train/TallBuilding/train.jpg", "14"] in train
    assert not any("Mountain" in path for path, _ in train)
    assert [label for _, label in val] == [str(i) for i in range(15)]
    assert ["test/livingRoom/test.jpg", "7"] in val
    for path, label in train + val:
        assert path.split("/")[1].lower() == scene_15.PLACES[int(label)]


def test_refuses_another_number(places):
    (places / "test/store/test.jpg").unlink()
    with pytest.raises(InputError, match="must hold 15 images, but has 14"):
        check_dataset("scene-15", places)
    assert not (places / "meta").exists()
