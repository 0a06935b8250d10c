"""CUB-200-2011, ImageNet-1k and AVA."""

from pathlib import Path

import pytest
from mmpretrain.datasets import CUB, ImageNet

from mmresizer.datasets import Imagenette, Imagewoof
from mmresizer.datasets.preparation import (
    check_dataset,
    cub,
    imagenet,
    prepare_dataset,
)
from mmresizer.utils import InputError

DATA = Path(__file__).parents[3] / "data"

# Name, label from 1, and whether it is for training.
BIRDS = [
    ("001.Black_footed_Albatross/a_0046.jpg", 1, 0),
    ("001.Black_footed_Albatross/a_0009.jpg", 1, 1),
    ("002.Laysan_Albatross/b_0002.jpg", 2, 1),
    ("002.Laysan_Albatross/b_0001.jpg", 2, 1),
    ("003.Sooty_Albatross/c_0001.jpg", 3, 0),
]


def table(values):
    return "".join(f"{i} {value}\n" for i, value in enumerate(values, 1)).encode()


CUB_FILES = {
    **{f"images/{name}": name.encode() for name, _, _ in BIRDS},
    "images.txt": table(name for name, _, _ in BIRDS),
    "image_class_labels.txt": table(label for _, label, _ in BIRDS),
    "train_test_split.txt": table(train for _, _, train in BIRDS),
    "classes.txt": table(sorted({name.split("/")[0] for name, _, _ in BIRDS})),
    "bounding_boxes.txt": b"",
}


@pytest.fixture
def birds(publish, tmp_path, monkeypatch):
    monkeypatch.setattr(cub, "_NUM_TRAIN", 3)
    monkeypatch.setattr(cub, "_NUM_TEST", 2)
    files = {f"CUB_200_2011/{name}": content for name, content in CUB_FILES.items()}
    files["attributes.txt"] = b""  # beside the folder, as in the real one
    publish("cub", {"CUB_200_2011.tgz": files})
    report = prepare_dataset("cub", tmp_path / "data")
    folder = tmp_path / "data/CUB_200_2011"
    assert report == f"cub: 3 + 2 images of 3 classes, in {str(folder)!r}"
    return folder


def test_cub(birds):
    for split, train in (("train", 1), ("test", 0)):
        dataset = CUB(data_root=str(birds), split=split)
        found = [dataset.get_data_info(i) for i in range(len(dataset))]
        assert [(Path(i["img_path"]).read_bytes(), i["gt_label"]) for i in found] == [
            (name.encode(), label - 1) for name, label, mark in BIRDS if mark == train
        ]
    assert not (birds.parent / "attributes.txt").exists()


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("images.txt", None, r"must hold images\.txt, which is missing"),
        ("classes.txt", None, r"must hold classes\.txt, which is missing"),
        ("images.txt", b"1 a/b.jpg\n\n", r"line 2 of '.*images\.txt' must hold"),
        ("images.txt", b"\xff\xd8\xff\xe0", r"line 1 of '.*images\.txt' must"),
        ("images.txt", b"one a/b.jpg", r"line 1 of '.*images\.txt' must hold a num"),
        ("image_class_labels.txt", table("12"), "must list the same images"),
        (
            "train_test_split.txt",
            table("11111"),
            "must list 3 images for training and 2 for testing, but lists 5 and 0",
        ),
        ("classes.txt", table(["001.Black_footed_Albatross"]), "2 not of the dataset"),
        ("images/002.Laysan_Albatross/b_0001.jpg", None, "hold 5 images, but has 4"),
        (
            "images.txt",
            CUB_FILES["images.txt"].replace(b"c_0001", b"c_0009"),
            r"lacks 1 images of images\.txt, such as '003\.Sooty_Albatross/c_0009",
        ),
    ],
)
def test_cub_refuses(birds, name, content, sentence):
    if content is None:
        (birds / name).unlink()
    else:
        (birds / name).write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        check_dataset("cub", birds)


@pytest.fixture
def image_net(tmp_path, monkeypatch):
    """An image a class for training, and for validation."""
    monkeypatch.setattr(imagenet, "_NUM_TRAIN", 1000)
    monkeypatch.setattr(imagenet, "_NUM_VAL", 1000)
    package = Path(imagenet.__file__).parent
    for wnid in (package / "lists/imagenet_wnids.txt").read_text().split():
        for split in ("train", "val"):
            (tmp_path / "imagenet" / split / wnid).mkdir(parents=True)
            (tmp_path / "imagenet" / split / wnid / f"{wnid}_1.JPEG").touch()
    return tmp_path / "imagenet"


def test_imagenet(image_net):
    report = "imagenet: 1,000 + 1,000 images of 1,000 classes"
    assert check_dataset("imagenet", image_net) == report
    whole = f"{report}, in {str(image_net)!r}"
    assert prepare_dataset("imagenet", image_net.parent) == whole
    val = ImageNet(data_root=str(image_net), split="val")
    assert len(val) == 1000
    labels = {
        Path(info["img_path"]).parent.name: info["gt_label"]
        for info in map(val.get_data_info, range(1000))
    }
    for dataset in (Imagenette, Imagewoof):
        for wnid, name in zip(dataset.WNIDS, dataset.METAINFO["classes"], strict=True):
            names = val.metainfo["classes"][labels[wnid]].lower().split(", ")
            assert name.lower() in names


def test_imagenet_refuses_a_missing_class(image_net):
    (image_net / "val/n01440764").rename(image_net / "val/tench")
    with pytest.raises(
        InputError,
        match=r"/val' must hold exactly the 1000 folders of its classes, but of these "
        r"are 1 missing \(n01440764\) and 1 not of the dataset \(tench\)$",
    ):
        check_dataset("imagenet", image_net)


RATING = "{} {} 0 1 5 17 38 36 15 6 5 1 1 22 1396"


@pytest.fixture
def ava(tmp_path):
    (tmp_path / "images").mkdir()
    for i in (953619, 953958):
        (tmp_path / f"images/{i}.jpg").touch()
    lines = [RATING.format(1, 953619), RATING.format(2, 953958)]
    (tmp_path / "AVA.txt").write_text("\n".join(lines))
    return tmp_path


def test_ava(ava):
    assert check_dataset("ava", ava) == "ava: 2 ratings, 2 of them with an image"
    (ava / "images/953958.jpg").unlink()
    assert check_dataset("ava", ava) == (
        "ava: 2 ratings, 1 of them with an image (no image 953958.jpg, for one)"
    )


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, r"must hold AVA\.txt, which is missing"),
        (b"", r"AVA\.txt' must hold ratings, but is empty"),
        (b"1 2 3", r"line 1 of '.*AVA\.txt' must hold 15 numbers .* got '1 2 3'"),
        (f"{RATING.format(1, 953619)}\n{RATING.format(2, 'x')}".encode(), "line 2 of"),
        (b"\xff\xd8\xff\xe0\x00", "line 1 of"),
        (RATING.format(1, 7).encode(), r"images' must hold the images of AVA\.txt"),
    ],
)
def test_ava_refuses(ava, content, sentence):
    (ava / "AVA.txt").unlink()
    if content is not None:
        (ava / "AVA.txt").write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        check_dataset("ava", ava)


def test_ava_without_images(ava):
    (ava / "images").rename(ava / "elsewhere")
    with pytest.raises(InputError, match=r"images' must hold .* but has none of them"):
        check_dataset("ava", ava)


@pytest.mark.data
def test_real_ratings(tmp_path):
    table = DATA / "ava/AVA.txt"
    if not table.is_file():
        pytest.skip("needs data/ava/AVA.txt")
    (tmp_path / "AVA.txt").symlink_to(table)
    (tmp_path / "images").mkdir()
    (tmp_path / "images/231893.jpg").touch()
    assert check_dataset("ava", tmp_path) == (
        "ava: 25,551 ratings, 1 of them with an image (no image 746672.jpg, for one)"
    )
