"""The photographs of playing cards."""

import pytest
from mmpretrain.datasets import CustomDataset

from mmresizer.datasets.preparation import check_dataset, playing_cards
from mmresizer.utils import InputError

# Content by name. Every third image for training, in sorted order, is for validation
# too: ace/1, ace/4 and two/2. The content of ace/3 is that of test/two/1, the content
# of two/1 is that of ace/4.
IMAGES = {
    **{f"train/ace/{i}.jpg": f"ace {i}" for i in (1, 2, 4, 5)},
    "train/ace/3.jpg": "twin",
    "train/two/1.jpg": "ace 4",
    **{f"train/two/{i}.jpg": f"two {i}" for i in (2, 3)},
    "valid/ace/1.jpg": "valid ace",
    "valid/two/1.jpg": "valid two",
    "test/ace/1.jpg": "test ace",
    "test/two/1.jpg": "twin",
}
TRAIN = ["train/ace/2.jpg 0", "train/ace/5.jpg 0", "train/two/3.jpg 1"]
VAL = [
    "train/ace/1.jpg 0",
    "train/ace/4.jpg 0",
    "train/two/2.jpg 1",
    "valid/ace/1.jpg 0",
    "valid/two/1.jpg 1",
    "test/ace/1.jpg 0",
    "test/two/1.jpg 1",
]


@pytest.fixture
def cards(tmp_path, monkeypatch):
    monkeypatch.setattr(playing_cards, "_PARTS", {"train": 8, "valid": 2, "test": 2})
    monkeypatch.setattr(playing_cards, "_NUM_CLASSES", 2)
    monkeypatch.setattr(playing_cards, "_STEP", 3)
    for name, content in IMAGES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


def test_lists(cards):
    assert check_dataset("playing-cards", cards) == (
        "playing-cards: 2 cards, 3 + 7 images; left out of training, as their files "
        "are for validation too: 2"
    )
    assert (cards / "meta/train.txt").read_text().splitlines() == TRAIN
    assert (cards / "meta/val.txt").read_text().splitlines() == VAL
    dataset = CustomDataset(data_root=str(cards), ann_file="meta/train.txt")
    info = dataset.get_data_info(2)
    assert info["gt_label"] == 1
    assert info["img_path"] == str(cards / "train/two/3.jpg")


def test_no_content_is_in_both_lists(cards):
    check_dataset("playing-cards", cards)
    contents = [
        {
            IMAGES[line.split()[0]]
            for line in (cards / f"meta/{name}.txt").read_text().splitlines()
        }
        for name in ("train", "val")
    ]
    assert not contents[0] & contents[1]


def test_lists_that_are_there_are_kept(cards):
    (cards / "meta").mkdir()
    (cards / "meta/val.txt").write_text("mine\n")
    (cards / "test/two/note.txt").touch()
    report = check_dataset("playing-cards", cards)
    assert report.endswith("passed over 1 stray file(s), such as 'two/note.txt'")
    assert (cards / "meta/val.txt").read_text() == "mine\n"
    assert (cards / "meta/train.txt").read_text().splitlines() == TRAIN


def test_refuses_another_number_of_classes(cards):
    (cards / "train/two").rename(cards / "elsewhere")
    with pytest.raises(InputError, match=r"/train' must hold 2 folders .* 1$"):
        check_dataset("playing-cards", cards)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("valid/two", "valid/three", r"1 missing \(two\) and 1 not of .* \(three\)"),
        ("train/two/3.jpg", "3.jpg", "train' must hold 8 images, but has 7"),
        ("test/ace/1.jpg", "valid/ace/2.jpg", "valid' must hold 2 images, but has 3"),
    ],
)
def test_refuses(cards, old, new, sentence):
    (cards / old).rename(cards / new)
    with pytest.raises(InputError, match=sentence):
        check_dataset("playing-cards", cards)
    assert not (cards / "meta").exists()
