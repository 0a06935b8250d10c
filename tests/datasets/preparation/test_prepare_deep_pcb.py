"""DeepPCB, and the patches around its defects."""

import json

import cv2
import numpy as np
import pytest

from mmresizer.datasets.preparation import check_dataset, deep_pcb, prepare_dataset
from mmresizer.utils import InputError

# Boards of 200 x 300 pixels, and their defects: left, top, right, bottom, type.
BOARDS = {
    "train": {
        "a/1": ["150 100 170 110 1", "0 0 20 10 4"],
        "a/2": ["290 190 300 200 6"],
    },
    "val": {"b/3": ["120 3 131 12 2"]},
}
LISTS = {"train": "trainval.txt", "val": "test.txt"}


def board(name):
    """Noise in grey, as a JPEG file has it."""
    noise = np.random.default_rng(ord(name[-1])).integers(0, 256, (200, 300), np.uint8)
    return cv2.imencode(".jpg", noise)[1]


@pytest.fixture
def boards(tmp_path, monkeypatch):
    splits = {"train": ("trainval.txt", 2, 3), "val": ("test.txt", 1, 1)}
    monkeypatch.setattr(deep_pcb, "_SPLITS", splits)
    folder = tmp_path / "data/deep_pcb"
    for split, tables in BOARDS.items():
        lines = []
        for name, rows in tables.items():
            image, table = folder / f"{name}_test.jpg", folder / f"{name}_not.txt"
            image.parent.mkdir(parents=True, exist_ok=True)
            image.write_bytes(board(name).tobytes())
            table.write_text("".join(f"{row}\n" for row in rows))
            lines.append(f"{name}.jpg {name}_not.txt\n")
        (folder / LISTS[split]).write_text("".join(lines))
    return folder


def test_boards(boards):
    assert check_dataset("deep-pcb", boards) == (
        "deep-pcb: 2 + 1 boards with 3 + 1 defects of 6 kinds"
    )


def test_annotations(boards):
    """COCO's boxes are left, top, width, height."""
    check_dataset("deep-pcb", boards)
    made = {
        split: json.loads((boards / f"annotations/instances_{split}.json").read_text())
        for split in BOARDS
    }
    assert made["train"]["images"] == [
        dict(id=1, file_name="a/1_test.jpg", width=300, height=200),
        dict(id=2, file_name="a/2_test.jpg", width=300, height=200),
    ]
    assert [
        [note[key] for key in ("id", "image_id", "category_id", "bbox", "area")]
        for note in made["train"]["annotations"]
    ] == [
        [1, 1, 1, [150, 100, 20, 10], 200],
        [2, 1, 4, [0, 0, 20, 10], 200],
        [3, 2, 6, [290, 190, 10, 10], 100],
    ]
    names = {c["id"]: c["name"] for c in made["val"]["categories"]}
    (box,) = made["val"]["annotations"]
    assert names[box["category_id"]] == "short"


def test_patches(boards):
    """96 pixels around the centre; at a border, the nearest 96 within the board."""
    report = prepare_dataset("deep-pcb-patches", boards.parent)
    folder = boards.parent / "deep_pcb_patches"
    assert report == (
        f"deep-pcb-patches: 3 + 1 patches of 6 defects, in {str(folder)!r}"
    )
    one, two, three = (cv2.imdecode(board(name), 0) for name in "123")
    expected = {
        # Centres (160, 105), (10, 5), (295, 195) and (125, 7), all as (x, y).
        "train/open/1_00000.png": one[57:153, 112:208],
        "train/spur/1_00001.png": one[:96, :96],
        "train/pin-hole/2_00002.png": two[104:, 204:],
        "val/short/3_00000.png": three[:96, 77:173],
    }
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*.png")}
    assert found == set(expected)
    for name, patch in expected.items():
        assert patch.shape == (96, 96)
        made = cv2.imread(str(folder / name), cv2.IMREAD_UNCHANGED)
        # Pillow and OpenCV may round the pixels of a JPEG file another way.
        assert np.abs(made.astype(int) - patch).max() <= 1, name
    for split in BOARDS:
        names = {path.name for path in (folder / split).iterdir()}
        assert names == {"open", "short", "mousebite", "spur", "copper", "pin-hole"}


def test_patches_are_counted(boards):
    prepare_dataset("deep-pcb-patches", boards.parent)
    folder = boards.parent / "deep_pcb_patches"
    (folder / "val/short/note.txt").touch()
    assert check_dataset("deep-pcb-patches", folder).endswith(
        "3 + 1 patches of 6 defects; passed over 1 stray file(s), such as "
        "'short/note.txt'"
    )
    (folder / "train/open/1_00000.png").unlink()
    with pytest.raises(InputError, match="train' must hold 3 images, but has 2"):
        check_dataset("deep-pcb-patches", folder)
    (folder / "train/copper").rmdir()
    with pytest.raises(InputError, match=r"1 missing \(copper\)"):
        check_dataset("deep-pcb-patches", folder)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("test.txt", None, r"must hold test\.txt, which is missing"),
        ("a/1_test.jpg", None, r"must hold 1_test\.jpg, which is missing"),
        ("a/2_not.txt", None, r"must hold 2_not\.txt, which is missing"),
        ("test.txt", b"", r"test\.txt' must list 1 images, but lists 0"),
        ("test.txt", b"b/3.jpg\n", r"an image and its table, got 'b/3\.jpg'"),
        ("b/3_not.txt", b"", r"test\.txt' must have 1 boxes, but have 0"),
        *(
            ("b/3_not.txt", row, rf"3_not\.txt' must hold left, .*got '{got}")
            for row, got in [
                (b"1 2 3 4\n", "1 2 3 4'"),
                (b"1 2 3 4 7\n", "1 2 3 4 7'"),
                (b"1 2 3 4 0\n", "1 2 3 4 0'"),
                (b"1 2 3 4 5 6\n", "1 2 3 4 5 6'"),
                (b"1 2 3 x 1\n", "1 2 3 x 1'"),
                (b"\xff\xd8\n", ""),
            ]
        ),
    ],
)
def test_refuses(boards, name, content, sentence):
    if content is None:
        (boards / name).unlink()
    else:
        (boards / name).write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        check_dataset("deep-pcb", boards)
    with pytest.raises(InputError, match=sentence):
        prepare_dataset("deep-pcb-patches", boards.parent)
    assert [path.name for path in boards.parent.iterdir() if path.is_dir()] == [
        "deep_pcb"
    ]


def test_names_a_board_that_is_damaged(boards):
    (boards / "a/2_test.jpg").write_bytes(board("a/2").tobytes()[:-100])
    with pytest.raises(InputError, match=r"cannot load the image '.*a/2_test\.jpg'"):
        prepare_dataset("deep-pcb-patches", boards.parent)
    assert not (boards.parent / "deep_pcb_patches").exists()
