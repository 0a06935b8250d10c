from pathlib import Path

import cv2
import numpy as np
import pytest
from mmpretrain.datasets import CustomDataset
from PIL import Image

from mmresizer.datasets.preparation import cats_dogs, check_dataset, prepare_dataset
from mmresizer.utils import InputError

DATA = Path(__file__).parents[3] / "data"
ARCHIVE = "kagglecatsanddogs_5340.zip"


def jpeg(seed, height=24, width=24, quality=95):
    """A smooth random picture, of any size."""
    picture = np.random.default_rng(seed).uniform(0, 255, (6, 6, 3))
    picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_CUBIC)
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    return cv2.imencode(".jpg", picture.clip(0, 255), options)[1].tobytes()


DAMAGED = {
    "PetImages/Cat/3.jpg": b"",
    "PetImages/Cat/17.jpg": b"<html>404 Not Found</html>",
    "PetImages/Dog/5.jpg": jpeg(5)[:-100],
}
FILES = (
    {
        f"PetImages/{name}/{i}.jpg": jpeg(100 * label + i)
        for label, name in enumerate(("Cat", "Dog"))
        for i in range(40)
    }
    | DAMAGED
    | {"PetImages/Cat/Thumbs.db": b"\0", "PetImages/Dog/Thumbs.db": b"\0"}
    | {"readme[1].txt": b"", "MSR-LA - 3467.docx": b""}
)


@pytest.fixture
def pets(publish, tmp_path, monkeypatch):
    """The stand-in, prepared; (folder, report)."""
    monkeypatch.setattr(cats_dogs, "_NUM_IMAGES", 40)
    publish("cats-dogs", {ARCHIVE: FILES})
    report = prepare_dataset("cats-dogs", tmp_path / "data")
    return tmp_path / "data/PetImages", report


def read_lists(folder):
    names = ("val_10", "train_40", "train_90")
    return [(folder / f"meta/{name}.txt").read_text().splitlines() for name in names]


def test_damaged_images_are_reported_and_left_out(pets):
    folder, report = pets
    names = {name.removeprefix("PetImages/") for name in DAMAGED}
    damaged = (folder / "meta/damaged.txt").read_text().splitlines()
    assert set(damaged) == names
    assert report == (
        "cats-dogs: 77 images of cats and dogs; 3 damaged ones left out "
        f"({', '.join(damaged)}), in {str(folder)!r}"
    )
    val, _, train_90 = read_lists(folder)
    listed = {line.split()[0] for line in val + train_90}
    every = {
        f"{path.parent.name}/{path.name}"
        for path in folder.rglob("*.jpg")
        if path.parent.name in ("Cat", "Dog")
    }
    assert listed == every - names
    assert [path.name for path in folder.parent.iterdir() if path.is_dir()] == [
        "PetImages"
    ]


def test_splits(pets):
    """10 % and 40 % or 90 % of 80 images without the 3 damaged, of both classes."""
    val, train_40, train_90 = read_lists(pets[0])
    assert len(val) + len(train_90) == 77
    for lines, number in ((val, 8), (train_40, 32), (train_90, 72)):
        assert number - 3 <= len(lines) <= number
    for lines in (val, train_40, train_90):
        assert len(set(lines)) == len(lines)
    assert not set(val) & set(train_90)
    assert set(train_40) < set(train_90)
    for lines in (val, train_40, train_90):
        assert lines != sorted(lines)
        assert {line.partition("/")[0] for line in lines} == {"Cat", "Dog"}


def test_one_more_damaged_image_moves_no_other(pets):
    """As when another version of the decoder refuses it."""
    folder, _ = pets
    before = read_lists(folder)
    victim = before[2][0].split()[0]
    (folder / victim).write_bytes(b"")
    for path in (folder / "meta").iterdir():
        path.unlink()
    check_dataset("cats-dogs", folder)
    for lines, old in zip(read_lists(folder), before, strict=True):
        assert lines == [line for line in old if line.split()[0] != victim]


def test_configs_read_the_lists(pets):
    """As ``configs/_base_/datasets/cats_dogs_keras_300.py`` does."""
    dataset = CustomDataset(
        data_root=str(pets[0]),
        data_prefix="",
        ann_file="meta/train_40.txt",
        metainfo=dict(classes=("cat", "dog")),
    )
    assert len(dataset) == len(read_lists(pets[0])[1])
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        path = Path(info["img_path"])
        assert ("Cat", "Dog").index(path.parent.name) == info["gt_label"]
        assert path.read_bytes() == FILES[f"PetImages/{path.parent.name}/{path.name}"]


def test_lists_are_always_the_same(pets):
    folder, report = pets
    lists = read_lists(folder)
    assert lists[0][:4] == [
        "Dog/23.jpg 1",
        "Dog/12.jpg 1",
        "Dog/10.jpg 1",
        "Dog/18.jpg 1",
    ]
    for path in (folder / "meta").iterdir():
        path.unlink()
    again = check_dataset("cats-dogs", folder)
    assert read_lists(folder) == lists
    assert report.startswith(again)


def test_lists_of_a_complete_folder_are_kept(pets):
    folder, report = pets
    lines = read_lists(folder)[0][1:]
    (folder / "meta/val_10.txt").write_text("".join(f"{line}\n" for line in lines))
    assert report.startswith(check_dataset("cats-dogs", folder))
    assert read_lists(folder)[0] == lines
    before = read_lists(folder)
    (folder / "meta/train_40.txt").unlink()
    check_dataset("cats-dogs", folder)
    assert read_lists(folder) == before


def test_no_image_is_damaged(publish, tmp_path, monkeypatch):
    monkeypatch.setattr(cats_dogs, "_NUM_IMAGES", 2)
    files = {f"PetImages/{n}/{i}.jpg": jpeg(i) for n in ("Cat", "Dog") for i in (0, 1)}
    publish("cats-dogs", {ARCHIVE: files})
    report = prepare_dataset("cats-dogs", tmp_path)
    assert report == (
        "cats-dogs: 4 images of cats and dogs; none is damaged, "
        f"in {str(tmp_path / 'PetImages')!r}"
    )


def test_refuses_another_number_of_images(pets):
    folder, _ = pets
    (folder / "Dog/7.jpg").unlink()
    with pytest.raises(InputError, match="Dog' must hold 40 images, but has 39"):
        check_dataset("cats-dogs", folder)
    (folder / "Cat").rename(folder / "elsewhere")
    with pytest.raises(InputError, match=r"the folder '.*Cat' does not exist"):
        check_dataset("cats-dogs", folder)


# Pictures of the subset (seed and shape of the original), under other names.
SUBSET = {
    "train/cats/cat.901.jpg": (7, 400, 500),
    "train/cats/cat.5.jpg": (2, 700, 350),
    "train/dogs/dog.33.jpg": (104, 300, 301),
    "train/dogs/dog.34.jpg": (101, 250, 200),
    "val/cats/cat.1.jpg": (4, 512, 512),
    "val/dogs/dog.2.jpg": (103, 331, 499),
}


@pytest.fixture
def subset(publish, tmp_path, monkeypatch):
    """A whole of 8 + 8 large pictures, and the list of a small, recompressed part."""
    monkeypatch.setattr(cats_dogs, "_NUM_IMAGES", 8)
    monkeypatch.setattr(cats_dogs, "_SUBSET", {"train": 4, "val": 2})
    monkeypatch.setattr(cats_dogs, "files", lambda package: tmp_path)
    shapes = {seed: shape for seed, *shape in SUBSET.values()}
    files = {
        f"PetImages/{name}/{i}.jpg": jpeg(seed, *shapes.get(seed, (320, 400)))
        for name, first in (("Cat", 0), ("Dog", 100))
        for i, seed in enumerate(range(first, first + 8))
    }
    files["PetImages/Cat/0.jpg"] = b""  # what is damaged has no fingerprint
    publish("cats-dogs", {ARCHIVE: files})
    lines = []
    for name, (seed, height, width) in SUBSET.items():
        scale = min(1, 300 / min(height, width))
        small = jpeg(seed, round(height * scale), round(width * scale), quality=70)
        copy = tmp_path / "copies" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(small)
        lines.append(f"{name} {cats_dogs.fingerprint(copy).tobytes().hex()}\n")
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/cats_dogs_subset.txt").write_text("".join(lines))
    return tmp_path


def test_subset_has_the_pictures_of_the_list(subset):
    report = prepare_dataset("cats-dogs-subset", subset / "data")
    folder = subset / "data/cats_dogs"
    found = "cats-dogs-subset: 4 + 2 images of cats and dogs"
    assert report == f"{found}, in {str(folder)!r}"
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg")}
    assert found == set(SUBSET)
    for name, (_, height, width) in SUBSET.items():
        made = cv2.imread(str(folder / name)).astype(int)
        assert min(made.shape[:2]) == min(300, height, width)
        assert made.shape[0] / made.shape[1] == pytest.approx(height / width, rel=0.005)
        # The same picture: two random ones differ by about 60.
        assert np.abs(made - cv2.imread(str(subset / "copies" / name))).mean() < 3
    val = CustomDataset(data_root=str(folder), data_prefix="val")
    assert [val.get_data_info(i)["gt_label"] for i in range(len(val))] == [0, 1]
    assert val.metainfo["classes"] == ("cats", "dogs")


def test_subset_is_made_once(publish, subset):
    report = prepare_dataset("cats-dogs-subset", subset / "data")
    assert publish.requests == [f"/{ARCHIVE}"]
    assert prepare_dataset("cats-dogs-subset", subset / "data") == report
    assert publish.requests == [f"/{ARCHIVE}"]


def test_subset_of_other_pictures_is_refused(subset):
    (subset / "other.jpg").write_bytes(jpeg(50))
    mark = cats_dogs.fingerprint(subset / "other.jpg").tobytes().hex()
    with (subset / "lists/cats_dogs_subset.txt").open("a") as file:
        file.write(f"val/dogs/dog.99.jpg {mark}\n")
    with pytest.raises(InputError, match=r"Dog' has no picture like 'val/dogs/dog\.99"):
        prepare_dataset("cats-dogs-subset", subset / "data")
    folders = [path.name for path in (subset / "data").iterdir() if path.is_dir()]
    assert folders == ["PetImages"]


def test_subset_names_an_image_that_breaks_later(subset):
    """After the check, which is not done again where its lists are."""
    prepare_dataset("cats-dogs", subset / "data")
    (subset / "data/PetImages/Dog/2.jpg").write_bytes(jpeg(102)[:-100])
    with pytest.raises(InputError, match=r"cannot load the image '.*Dog/2\.jpg'"):
        prepare_dataset("cats-dogs-subset", subset / "data")


def test_fingerprints_are_of_upright_pictures(tmp_path):
    (tmp_path / "plain.jpg").write_bytes(jpeg(0, 200, 300))
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turned by 90 degrees
    with Image.open(tmp_path / "plain.jpg") as image:
        turned = image.transpose(Image.Transpose.ROTATE_90)
        turned.save(tmp_path / "turned.jpg", exif=exif, quality=95)
        image.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "other.jpg")
    marks = {
        path.stem: np.unpackbits(cats_dogs.fingerprint(path))
        for path in tmp_path.glob("*.jpg")
    }
    assert (marks["plain"] != marks["turned"]).sum() <= cats_dogs._TOLERANCE
    assert (marks["plain"] != marks["other"]).sum() > 2 * cats_dogs._TOLERANCE


def read_list():
    """The fingerprints of the subset, as 128 bits, by name."""
    package = Path(cats_dogs.__file__).parent
    lines = (package / "lists/cats_dogs_subset.txt").read_text().splitlines()
    listed = dict(line.split() for line in lines)
    assert len(listed) == len(lines)
    return {
        name: np.unpackbits(np.frombuffer(bytes.fromhex(mark), dtype=np.uint8))
        for name, mark in listed.items()
    }


def test_no_picture_is_taken_for_another_one_of_the_list():
    listed = read_list()
    assert len(listed) == 1900
    for name in ("cats", "dogs"):
        signs = 2.0 * np.stack([m for k, m in listed.items() if f"/{name}/" in k]) - 1
        distances = (128 - signs @ signs.T) / 2
        np.fill_diagonal(distances, 128)
        assert distances.min() > 2 * cats_dogs._TOLERANCE


@pytest.mark.data
def test_real_subset():
    folder = DATA / "cats_dogs"
    if not folder.is_dir():
        pytest.skip("needs data/cats_dogs")
    assert check_dataset("cats-dogs-subset", folder) == (
        "cats-dogs-subset: 900 + 1,000 images of cats and dogs"
    )
    listed = read_list()
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg")}
    assert found == set(listed)
    for name in list(listed)[::19]:
        differing = listed[name] != np.unpackbits(cats_dogs.fingerprint(folder / name))
        assert differing.sum() <= 1, name
