"""The aerial photographs."""

import pytest

from mmresizer.datasets.preparation import check_dataset, rsscn7
from mmresizer.utils import InputError

# Of each scene the first is for validation, and of parking lots the fourth, which is
# the same file as the third.
TRAIN = {"gParking": ["g2"]}
VAL = {**{name: [f"{name[0]}1"] for name in rsscn7.SCENES}, "gParking": ["g1", "g4"]}


@pytest.fixture
def scenes(tmp_path, monkeypatch):
    monkeypatch.setattr(rsscn7, "_NUM_IMAGES", 10)
    for split in (TRAIN, VAL):
        for name, images in split.items():
            folder = tmp_path / "images" / name
            folder.mkdir(parents=True, exist_ok=True)
            for image in images:
                (folder / f"{image}.jpg").write_text(image)
    (tmp_path / "images/gParking/g3.jpg").write_text("g4")
    return tmp_path


def test_lists(scenes):
    assert check_dataset("rsscn7", scenes) == (
        "rsscn7: 7 scenes, 1 + 8 images; left out of training, as their files are for "
        "validation too: 1"
    )
    for name, split in (("train", TRAIN), ("val", VAL)):
        lines = (scenes / f"meta/{name}.txt").read_text().splitlines()
        assert lines == [
            f"images/{scene}/{image}.jpg {label}"
            for label, scene in enumerate(rsscn7.SCENES)
            for image in split.get(scene, [])
        ]


def test_refuses_another_number(scenes):
    (scenes / "images/gParking/g3.jpg").unlink()
    with pytest.raises(InputError, match="must hold 10 images, but has 9"):
        check_dataset("rsscn7", scenes)
    assert not (scenes / "meta").exists()
