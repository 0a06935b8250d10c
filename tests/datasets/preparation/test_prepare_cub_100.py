"""The copy of CUB with 100 species."""

import pytest
from mmpretrain.datasets import CustomDataset

from mmresizer.datasets.preparation import check_dataset, cub_100
from mmresizer.utils import InputError

# Name, label from 0, and the mark: 0 is for training.
BIRDS = [
    ("Albatross/0000.jpg", 0, 1),
    ("Albatross/0001.jpg", 0, 0),
    ("Auklet/0000.jpg", 1, 0),
    ("Auklet/0001.jpg", 1, 0),
    ("Wren/0007.jpg", 99, 1),
]
TRAIN = ["Albatross/0001.jpg 0", "Auklet/0000.jpg 1", "Auklet/0001.jpg 1"]
VAL = ["Albatross/0000.jpg 0", "Wren/0007.jpg 99"]


def table(values):
    """As in the copy: a comma behind the number, which starts at 0."""
    return "".join(f"{i}, {value}\n" for i, value in enumerate(values))


@pytest.fixture
def birds(tmp_path, monkeypatch):
    monkeypatch.setattr(cub_100, "_NUM_TRAIN", 3)
    monkeypatch.setattr(cub_100, "_NUM_TEST", 2)
    folder = tmp_path / "cub_100"
    for name, *_ in BIRDS:
        (folder / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "images" / name).write_bytes(name.encode())
    names, labels, marks = zip(*BIRDS, strict=True)
    (folder / "images.txt").write_text(table(names))
    (folder / "image_class_labels.txt").write_text(table(labels))
    (folder / "train_test_split.txt").write_text(table(marks))
    return folder


def test_lists(birds):
    assert check_dataset("cub-100", birds) == "cub-100: 3 + 2 images of 100 birds"
    assert (birds / "meta/train.txt").read_text().splitlines() == TRAIN
    assert (birds / "meta/val.txt").read_text().splitlines() == VAL
    dataset = CustomDataset(
        data_root=str(birds), data_prefix="images", ann_file="meta/val.txt"
    )
    info = dataset.get_data_info(1)
    assert info["gt_label"] == 99
    assert info["img_path"] == str(birds / "images/Wren/0007.jpg")


def test_lists_that_are_there_are_kept(birds):
    (birds / "meta").mkdir()
    (birds / "meta/train.txt").write_text("mine\n")
    check_dataset("cub-100", birds)
    assert (birds / "meta/train.txt").read_text() == "mine\n"
    assert (birds / "meta/val.txt").read_text().splitlines() == VAL


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("images.txt", None, r"must hold images\.txt, which is missing"),
        ("images/Wren/0007.jpg", None, r"must hold 0007\.jpg, which is missing"),
        ("images.txt", "0, a b\n", r"line 1 of '.*images\.txt' must hold a number"),
        ("images.txt", "0, a\nb\n", r"line 2 of '.*images\.txt' must .* got 'b'"),
        ("image_class_labels.txt", table("01"), "must list the same images"),
        (
            "image_class_labels.txt",
            table([0, 0, 1, 1, 100]),
            "label from 0 to 99 .* but give 'Wren/0007.jpg' '100' and '1'",
        ),
        (
            "train_test_split.txt",
            table([1, 2, 0, 0, 1]),
            "mark of 0 or 1, but give 'Albatross/0001.jpg' '0' and '2'",
        ),
        (
            "train_test_split.txt",
            table([1, 1, 0, 0, 1]),
            "must mark 3 images with 0 and 2 with 1, but marks 2 and 3",
        ),
    ],
)
def test_refuses(birds, name, content, sentence):
    if content is None:
        (birds / name).unlink()
    else:
        (birds / name).write_text(content)
    with pytest.raises(InputError, match=sentence):
        check_dataset("cub-100", birds)
    assert not (birds / "meta").exists()
