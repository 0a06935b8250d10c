"""The photographs of magnetic tiles, and their label maps."""

from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmresizer.datasets.preparation import (
    check_dataset,
    magnetic_tiles,
    prepare_dataset,
)
from mmresizer.utils import InputError

DATA = Path(__file__).parents[3] / "data"
LIST = magnetic_tiles._read_list()
# A list of which tile 2 has photographs in two folders.
LINES = (
    "train 1 MT_Blowhole/exp1_num_1",
    "train 2 MT_Break/exp1_num_7",
    "train 2 MT_Crack/exp2_num_8",
    "val 3 MT_Fray/exp1_num_20",
    "val 4 MT_Uneven/exp1_num_30",
    "val 5 MT_Free/exp1_num_40",
)
# A mask of three rows, and where the defect is.
VALUES = np.array([[0, 1, 64, 127], [128, 129, 250, 255], [0, 0, 0, 255]], np.uint8)
DEFECT = np.array([[0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 1]], np.uint8)


@pytest.fixture
def source(tmp_path, monkeypatch):
    photographs = [magnetic_tiles._Photograph(*line.split()) for line in LINES]
    monkeypatch.setattr(magnetic_tiles, "_read_list", lambda: photographs)
    folder = tmp_path / "data/magnetic_tiles_source"
    for i, item in enumerate(photographs):
        image = item.find(folder, ".jpg")
        image.parent.mkdir(parents=True)
        cv2.imwrite(str(image), np.full((3, 4), 40 * i, np.uint8))
        mask = VALUES if item.folder != "MT_Free" else VALUES * 0
        cv2.imwrite(str(item.find(folder, ".png")), mask)
    (folder / "dataset.jpg").touch()
    return folder


def read_all(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_layout(source):
    before = read_all(source)
    folder = source.with_name("magnetic_tiles")
    report = prepare_dataset("magnetic-tiles", source.parent)
    assert report == (
        "magnetic-tiles: 3 + 3 photographs of 2 + 3 tiles with 5 kinds of defects; "
        "moved to training, as their tile is in several folders: 2, in "
        f"{str(folder)!r}"
    )
    assert read_all(source) == before
    names = {
        "train": ("exp1_num_1", "exp1_num_7", "exp2_num_8"),
        "val": ("exp1_num_20", "exp1_num_30", "exp1_num_40"),
    }
    made = read_all(folder)
    assert set(made) == {
        f"{kind}/{split}/{name}{suffix}"
        for kind, suffix in (("img_dir", ".jpg"), ("ann_dir", ".png"))
        for split in names
        for name in names[split]
    }
    assert made["img_dir/val/exp1_num_20.jpg"] == before["MT_Fray/Imgs/exp1_num_20.jpg"]
    again = prepare_dataset("magnetic-tiles", source.parent)
    assert (again, read_all(folder)) == (report, made)


def test_labels(source):
    """The threshold is 128, and the folder names the class; no channel is added."""
    prepare_dataset("magnetic-tiles", source.parent)
    folder = source.with_name("magnetic_tiles") / "ann_dir"
    for label, name in enumerate(
        ("train/exp1_num_1", "train/exp1_num_7", "train/exp2_num_8"), 1
    ):
        made = cv2.imread(str(folder / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        assert made.dtype == np.uint8
        np.testing.assert_array_equal(made, label * DEFECT)
    for label, name in ((4, "exp1_num_20"), (5, "exp1_num_30"), (0, "exp1_num_40")):
        made = cv2.imread(str(folder / f"val/{name}.png"), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(made, label * DEFECT)


def test_passes_over_stray_files(source):
    assert check_dataset("magnetic-tiles-source", source) == (
        "magnetic-tiles-source: 6 photographs with masks; passed over 1 stray file(s), "
        "such as 'magnetic_tiles_source/dataset.jpg'"
    )


def encode(suffix, image):
    return cv2.imencode(suffix, image)[1].tobytes()


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        (
            "MT_Fray/Imgs/exp1_num_20.png",
            None,
            r"the mask '.*MT_Fray/Imgs/exp1_num_20\.png' is missing",
        ),
        (
            "MT_Fray/Imgs/exp1_num_20.jpg",
            None,
            r"the photograph '.*MT_Fray/Imgs/exp1_num_20\.jpg' is missing",
        ),
        (
            "MT_Fray/Imgs/exp1_num_21.jpg",
            encode(".jpg", VALUES),
            "must hold 12 images, but has 13",
        ),
        (
            "MT_Crack/Imgs/exp2_num_8.png",
            encode(".png", VALUES)[:-30],
            r"cannot load the image '.*exp2_num_8\.png'",
        ),
        (
            "MT_Crack/Imgs/exp2_num_8.jpg",
            encode(".jpg", VALUES)[:-30],
            r"cannot load the image '.*exp2_num_8\.jpg'",
        ),
        (
            "MT_Crack/Imgs/exp2_num_8.png",
            encode(".png", VALUES.T),
            r"exp2_num_8\.png' must be as large as its photograph, 4x3, but is 3x4",
        ),
        (
            "MT_Free/Imgs/exp1_num_40.png",
            encode(".png", VALUES),
            r"exp1_num_40\.png' must be empty, as it is in MT_Free",
        ),
    ],
    ids=[
        "no mask",
        "no photograph",
        "another photograph",
        "damaged mask",
        "damaged photograph",
        "mask of another size",
        "mask of no defect",
    ],
)
def test_refuses(source, name, content, sentence):
    """Nothing is left of what had been written by then."""
    if content is None:
        (source / name).unlink()
    else:
        (source / name).write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        prepare_dataset("magnetic-tiles", source.parent)
    assert [path.name for path in source.parent.iterdir() if path.is_dir()] == [
        "magnetic_tiles_source"
    ]


def test_refuses_without_the_folders(tmp_path):
    with pytest.raises(InputError, match=r"put there the six folders .* commit cc4eb5"):
        prepare_dataset("magnetic-tiles", tmp_path)


@pytest.mark.parametrize("kind", ["img_dir", "ann_dir"])
def test_refuses_what_is_incomplete(source, kind):
    prepare_dataset("magnetic-tiles", source.parent)
    folder = source.with_name("magnetic_tiles")
    file = next((folder / kind / "val").glob("exp1_num_30.*"))
    foreign = file.rename(file.with_stem("other"))
    with pytest.raises(InputError, match=r"val' must .* but 1 are missing and 1 forei"):
        prepare_dataset("magnetic-tiles", source.parent)
    foreign.rename(file)
    extra = file.with_stem("exp1_num_31")
    extra.write_bytes(file.read_bytes())
    with pytest.raises(InputError, match=r"but 0 are missing and 1 foreign.*num_31\."):
        check_dataset("magnetic-tiles", folder)
    extra.unlink()
    check_dataset("magnetic-tiles", folder)
    (folder / kind / "train").rename(folder / "away")
    with pytest.raises(InputError, match=r"train' does not exist"):
        check_dataset("magnetic-tiles", folder)


def test_list():
    """Tiles are in one split, a third of each class for validation."""
    assert len(LIST) == len({item.name for item in LIST}) == 1344
    tiles = defaultdict(list)
    counts = defaultdict(lambda: {"train": 0, "val": 0})
    for item in LIST:
        tiles[item.tile].append(item)
        counts[item.folder][item.split] += 1
    assert len(tiles) == 215
    for items in tiles.values():
        assert len({item.split for item in items}) == 1, items
        if len({item.folder for item in items}) > 1:
            assert items[0].split == "train"
    assert {k: tuple(v.values()) for k, v in counts.items()} == {
        "MT_Blowhole": (77, 38),
        "MT_Break": (61, 24),
        "MT_Crack": (39, 18),
        "MT_Fray": (20, 12),
        "MT_Uneven": (67, 36),
        "MT_Free": (640, 312),
    }


def evened(path):
    """A photograph at 1/4, with local means and deviations evened out."""
    grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE).astype(np.float32)
    grey = cv2.resize(grey, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    grey -= cv2.GaussianBlur(grey, (0, 0), 4)
    return grey / (np.sqrt(cv2.GaussianBlur(grey**2, (0, 0), 4)) + 1.5)


def correlate(one, other):
    """The most that the centre of one correlates with the other at some shift."""
    height, width = (int(0.75 * min(n)) for n in zip(one.shape, other.shape))  # noqa: B905
    top, left = (one.shape[0] - height) // 2, (one.shape[1] - width) // 2
    part = one[top : top + height, left : left + width]
    return cv2.matchTemplate(other, part, cv2.TM_CCOEFF_NORMED).max()


@pytest.mark.data
def test_real_tiles():
    """All pixels of defects; no photograph for training looks like one of the others.

    Of each tile the photographs at the third and the sixth exposure are compared.
    """
    folder = DATA / "magnetic_tiles"
    if not folder.is_dir():
        pytest.skip("needs data/magnetic_tiles")
    assert check_dataset("magnetic-tiles", folder) == (
        "magnetic-tiles: 904 + 440 photographs of 144 + 71 tiles with 5 kinds of "
        "defects; moved to training, as their tile is in several folders: 43"
    )
    for split, pixels in {
        "train": [9_541, 194_191, 17_481, 529_992, 1_672_056],
        "val": [4_770, 97_298, 7_261, 171_223, 836_068],
    }.items():
        total = np.zeros(256, int)
        for path in (folder / "ann_dir" / split).iterdir():
            total += np.bincount(
                cv2.imread(str(path), cv2.IMREAD_UNCHANGED).ravel(), minlength=256
            )
        assert total[1:].tolist() == pixels + 250 * [0]
    train, val = (
        [
            evened(folder / "img_dir" / split / f"{item.name}.jpg")
            for item in LIST
            if item.split == split and item.name.startswith(("exp3", "exp6"))
        ]
        for split in ("train", "val")
    )
    highest = max(correlate(one, other) for one in train for other in val)
    assert highest < 0.7
