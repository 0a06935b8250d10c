import io
from itertools import chain
from pathlib import Path

import mat4py
import numpy as np
import pytest
from mmpretrain.datasets import CustomDataset, Flowers102
from PIL import Image

from mmresizer.datasets.preparation import check_dataset, flowers, prepare_dataset
from mmresizer.utils import InputError

DATA = Path(__file__).parents[3] / "data"
LIST_OF_12 = Path(flowers.__file__).parent / "lists/flowers12.txt"
KEYS = [f"{split}{k}" for split in ("trn", "val", "tst") for k in (1, 2, 3)]


def colour_of(image):
    return (image, 255 - image, 2 * image)


def jpeg(image):
    """A picture of one colour, by its number."""
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), colour_of(image)).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def mat(tmp_path, content):
    mat4py.savemat(str(tmp_path / "x.mat"), content)
    return (tmp_path / "x.mat").read_bytes()


def samples(dataset):
    """The bytes and the label of each."""
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    return [(Path(info["img_path"]).read_bytes(), info["gt_label"]) for info in infos]


def draw_splits():
    """Three shuffled splits of 51 images, by the keys of the file."""
    parts = [
        np.split(np.random.default_rng(k).permutation(51) + 1, (26, 38))
        for k in (1, 2, 3)
    ]
    return {
        f"{name}{k}": parts[k - 1][i].tolist()
        for i, name in enumerate(("trn", "val", "tst"))
        for k in (1, 2, 3)
    }


SPLITS = draw_splits()
FILES = {f"jpg/image_{i:04d}.jpg": jpeg(i) for i in range(1, 52)}


@pytest.fixture
def publish_17(publish, tmp_path, monkeypatch):
    """Publishes Flowers17 of three images a species."""
    monkeypatch.setattr(flowers, "_IMAGES_A_SPECIES", 3)

    def publish_17(splits=SPLITS, changes=None):
        archive = {"jpg/files.txt": b"list", **FILES, **(changes or {})}
        splits = splits if isinstance(splits, bytes) else mat(tmp_path, splits)
        publish("flowers17", {"17flowers.tgz": archive, "datasplits.mat": splits})

    publish_17.requests = publish.requests
    return publish_17


@pytest.mark.parametrize("number", [int, float])
def test_17(publish_17, tmp_path, number):
    """MATLAB may store numbers as doubles."""
    publish_17({key: list(map(number, images)) for key, images in SPLITS.items()})
    report = prepare_dataset("flowers17", tmp_path / "data")
    folder = tmp_path / "data/flowers17"
    assert report == f"flowers17: 51 images of 17 species, 3 splits, in {str(folder)!r}"
    assert sorted(path.name for path in folder.iterdir()) == [
        "datasplits.mat", "jpg", "meta",
    ]  # fmt: skip
    for split, key in (("train", "trn"), ("val", "val"), ("test", "tst")):
        for k in (1, 2, 3):
            dataset = CustomDataset(
                data_root=str(folder),
                data_prefix="jpg",
                ann_file=f"meta/{split}{k}.txt",
                metainfo=dict(classes=flowers.SPECIES),
            )
            assert samples(dataset) == [
                (jpeg(image), (image - 1) // 3) for image in SPLITS[f"{key}{k}"]
            ]


@pytest.mark.parametrize(
    ("splits", "sentence"),
    [
        ({**SPLITS, "val2": [7, 52]}, r"jpg' lacks 'image_0052\.jpg'"),
        ({**SPLITS, "val2": [0, 3]}, r"jpg' lacks 'image_0000\.jpg'"),
        (
            {k: v for k, v in SPLITS.items() if k != "tst3"},
            "must be a MATLAB file with the lists trn1, .* tst3",
        ),
        ({**SPLITS, "trn1": "text"}, "must be a MATLAB file"),
        (b"<html>404 Not Found</html>", "must be a MATLAB file"),
        (b"", "must be a MATLAB file"),
    ],
)
def test_17_refuses_splits(publish_17, tmp_path, splits, sentence):
    publish_17(splits)
    with pytest.raises(InputError, match=sentence) as e:
        prepare_dataset("flowers17", tmp_path / "data")
    assert "\n" not in str(e.value)
    assert {p.name for p in (tmp_path / "data").iterdir() if p.is_dir()} <= {
        ".downloads"
    }


def test_17_refuses_missing_files(publish_17, tmp_path):
    publish_17()
    prepare_dataset("flowers17", tmp_path)
    (tmp_path / "flowers17/datasplits.mat").unlink()
    with pytest.raises(InputError, match=r"must hold datasplits\.mat, which is mi"):
        check_dataset("flowers17", tmp_path / "flowers17")
    (tmp_path / "flowers17/jpg/image_0001.jpg").unlink()
    with pytest.raises(InputError, match="jpg' must hold 51 images, but has 50"):
        check_dataset("flowers17", tmp_path / "flowers17")


LIST = {
    "train/crocus/image_0013.jpg": 13,
    "train/crocus/image_0015.jpg": 15,
    "train/pansy/image_0049.jpg": 49,
    "val/crocus/image_0014.jpg": 14,
    "val/pansy/image_0051.jpg": 51,
}


@pytest.fixture
def publish_12(publish_17, tmp_path, monkeypatch):
    """Publishes the same for the subset; its list is a shorter one."""
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/flowers12.txt").write_text("\n".join(LIST))
    monkeypatch.setattr(flowers, "files", lambda package: tmp_path)
    return publish_17


def test_12(publish_12, tmp_path):
    publish_12()
    report = prepare_dataset("flowers12", tmp_path / "data")
    folder = tmp_path / "data/flowers12"
    assert report == f"flowers12: 5 images of 2 species, in {str(folder)!r}"
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg")}
    assert found == set(LIST)
    for name, image in LIST.items():
        pixels = np.asarray(Image.open(folder / name)).astype(int)
        assert pixels.shape == (224, 224, 3)
        assert np.abs(pixels - colour_of(image)).max() <= 3
    train = CustomDataset(data_root=str(folder), data_prefix="train")
    assert train.metainfo["classes"] == ("crocus", "pansy")
    assert train.get_gt_labels().tolist() == [0, 0, 1]
    publish_12.requests.clear()
    assert prepare_dataset("flowers12", tmp_path / "data") == report
    assert publish_12.requests == []


def test_12_names_a_damaged_image(publish_12, tmp_path):
    publish_12(changes={"jpg/image_0049.jpg": jpeg(49)[:-100]})
    with pytest.raises(InputError, match=r"cannot load the image '.*image_0049\.jpg'"):
        prepare_dataset("flowers12", tmp_path / "data")
    folders = [path.name for path in (tmp_path / "data").iterdir() if path.is_dir()]
    assert folders == ["flowers17"]


def test_12_refuses_another_image(publish_12, tmp_path):
    publish_12()
    prepare_dataset("flowers12", tmp_path)
    crocus = tmp_path / "flowers12/train/crocus"
    (crocus / "image_0013.jpg").rename(crocus / "image_0099.jpg")
    with pytest.raises(InputError, match=r"lacks 1 images .* 'train/crocus/image_0013"):
        check_dataset("flowers12", tmp_path / "flowers12")


def test_list_of_12_agrees_with_the_numbers_of_17():
    names = LIST_OF_12.read_text().split()
    assert len(set(names)) == len(names) == 960
    for name in names:
        _, species, image = name.split("/")
        number = int(image.removeprefix("image_").removesuffix(".jpg"))
        assert flowers.SPECIES[(number - 1) // 80] == species
    for split, number in (("train", 60), ("val", 20)):
        of_split = [name.split("/")[1] for name in names if name.startswith(split)]
        assert {of_split.count(species) for species in of_split} == {number}
    assert len({name.rpartition("/")[2] for name in names}) == 960  # no image in both


FILES_102 = {f"jpg/image_{i:05d}.jpg": jpeg(i) for i in range(1, 13)}
LABELS = [3, 3, 1, 1, 2, 2, 1, 2, 3, 3, 2, 1]
SETS = {"trnid": [4, 6, 2], "valid": [3, 5, 1], "tstid": [7, 8, 9, 10, 11, 12]}


@pytest.fixture
def flowers102(publish, tmp_path):
    files = {
        "102flowers.tgz": FILES_102,
        "imagelabels.mat": mat(tmp_path, {"labels": LABELS}),
        "setid.mat": mat(tmp_path, SETS),
    }
    publish("flowers102", files)
    report = prepare_dataset("flowers102", tmp_path / "data")
    folder = tmp_path / "data/flowers102"
    assert report == f"flowers102: 3 + 3 + 6 images of 3 species, in {str(folder)!r}"
    return folder


@pytest.mark.parametrize(
    ("split", "keys"),
    [
        ("train", ["trnid"]),
        ("val", ["valid"]),
        ("trainval", ["trnid", "valid"]),
        ("test", ["tstid"]),
    ],
)
def test_102(flowers102, split, keys):
    assert samples(Flowers102(data_root=str(flowers102), split=split)) == [
        (jpeg(image), LABELS[image - 1] - 1)
        for image in chain(*(SETS[key] for key in keys))
    ]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("imagelabels.mat", {"other": LABELS}, "a MATLAB file with the lists labels"),
        ("imagelabels.mat", {"labels": LABELS[1:]}, "must hold 11 images, but has 12"),
        ("setid.mat", {"trnid": [1, 2]}, "with the lists trnid, valid, tstid"),
        ("setid.mat", {**SETS, "valid": [3, 13]}, r"jpg' lacks 'image_00013\.jpg'"),
    ],
)
def test_102_refuses_tables(flowers102, tmp_path, name, content, sentence):
    (flowers102 / name).write_bytes(mat(tmp_path, content))
    with pytest.raises(InputError, match=sentence):
        check_dataset("flowers102", flowers102)
    (flowers102 / name).unlink()
    with pytest.raises(InputError, match=f"must hold {name}, which is missing"):
        check_dataset("flowers102", flowers102)


@pytest.mark.data
def test_real_12():
    folder = DATA / "flowers12"
    assert check_dataset("flowers12", folder) == "flowers12: 960 images of 12 species"
    listed = LIST_OF_12.read_text().split()
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg")}
    assert found == set(listed)
