from importlib.resources import files

import pytest
from mmpretrain.datasets.categories import IMAGENET_CATEGORIES

from mmresizer.datasets import Imagenette, Imagewoof
from mmresizer.registry import DATASETS
from mmresizer.utils import InputError


@pytest.fixture(params=[Imagenette, Imagewoof])
def dataset(request):
    return request.param


@pytest.fixture
def root(tmp_path, dataset):
    """Two images of each class for training and one for validation."""
    for split, count in (("train", 2), ("val", 1)):
        # The file system need not keep this order, and the labels must not.
        for wnid in reversed(dataset.WNIDS):
            (tmp_path / split / wnid).mkdir(parents=True)
            for i in range(count):
                (tmp_path / split / wnid / f"{wnid}_{i}.JPEG").touch()
    return tmp_path


def test_labels_follow_the_wnids(root, dataset):
    cfg = dict(type=f"mmresizer.{dataset.__name__}", data_root=str(root))
    train = DATASETS.build(dict(split="train", **cfg))
    assert [train.get_data_info(i)["gt_label"] for i in range(20)] == sorted(
        2 * list(range(10))
    )
    assert len(train) == 20
    val = DATASETS.build(dict(split="val", **cfg))
    paths = [
        str(root / "val" / wnid / f"{wnid}_0.JPEG") for wnid in sorted(dataset.WNIDS)
    ]
    assert [val.get_data_info(i)["img_path"] for i in range(len(val))] == paths


def test_classes_are_those_of_imagenet(dataset):
    wnids = files("mmresizer.datasets.preparation") / "lists/imagenet_wnids.txt"
    names = dict(zip(wnids.read_text().split(), IMAGENET_CATEGORIES, strict=True))
    assert len(dataset.WNIDS) == 10
    assert list(dataset.WNIDS) == sorted(set(dataset.WNIDS))
    for wnid, name in zip(dataset.WNIDS, dataset.METAINFO["classes"], strict=True):
        assert name.lower() in names[wnid].lower().split(", ")


def test_refuses_folders_of_other_classes(root, dataset):
    (root / "val" / "n99999999").mkdir()
    sentence = "must hold the folders of the ten classes of {} and no others, but {} is"
    with pytest.raises(InputError) as e:
        dataset(str(root), "val")
    assert sentence.format(dataset.__name__, "n99999999 is there")[:-3] in str(e.value)
    last = root / "train" / dataset.WNIDS[-1]
    last.rename(root / "elsewhere")
    with pytest.raises(InputError, match=f"but {last.name} is missing"):
        dataset(str(root), "train")


def test_refuses_a_missing_folder(tmp_path, dataset):
    with pytest.raises(InputError, match=r"nowhere/train' does not exist"):
        dataset(str(tmp_path / "nowhere"), "train")


@pytest.mark.parametrize("split", ["test", "", None])
def test_refuses_splits(tmp_path, split):
    with pytest.raises(InputError, match=f"must be train or val, got {split!r}"):
        Imagenette(str(tmp_path), split)
