"""The photographs of steel strips."""

import pytest

from mmresizer.datasets.preparation import check_dataset, neu
from mmresizer.utils import InputError

# Of a class, the first and the fourth are for validation; "scratches_2" is the same
# file as one of them.
TRAIN = ["rolled-in_scale_2", "rolled-in_scale_3", "scratches_3"]
VAL = ["rolled-in_scale_1", "scratches_1", "scratches_4"]


@pytest.fixture
def steel(tmp_path, monkeypatch):
    monkeypatch.setattr(neu, "_NUM_IMAGES", 7)
    (tmp_path / "IMAGES").mkdir()
    for name in [*TRAIN, *VAL]:
        (tmp_path / f"IMAGES/{name}.jpg").write_text(name)
    (tmp_path / "IMAGES/scratches_2.jpg").write_text("scratches_4")
    return tmp_path


def test_lists(steel):
    assert check_dataset("neu-steel", steel) == (
        "neu-steel: 6 defects, 3 + 3 images; left out of training, as their files are "
        "for validation too: 1"
    )
    for split, names in (("train", TRAIN), ("val", VAL)):
        lines = (steel / f"meta/{split}.txt").read_text().splitlines()
        assert lines == [
            f"IMAGES/{name}.jpg {4 if name.startswith('rolled') else 5}"
            for name in names
        ]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("scratches_3.jpg", "dents_3.jpg", "CLASS_NUMBER .* one is 'dents_3.jpg'"),
        ("scratches_3.jpg", "scratches_3.txt", "must hold 7 images, but has 6"),
    ],
)
def test_refuses(steel, old, new, sentence):
    (steel / "IMAGES" / old).rename(steel / "IMAGES" / new)
    with pytest.raises(InputError, match=sentence):
        check_dataset("neu-steel", steel)
    assert not (steel / "meta").exists()
