"""TexturedShapesMasks against TexturedShapes, whose images it has."""

import cv2
import numpy as np
import pytest

from mmresizer.datasets.textured_shapes_masks import TexturedShapesMasks
from mmresizer.utils import InputError

SMALL = dict(num_train=20, num_val=4, image_size=64)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "shapes"


def test_files_have_the_layout_of_mmsegmentation(folder):
    for split in ("train", "val"):
        dataset = TexturedShapesMasks(str(folder), split=split, **SMALL)
        assert len(dataset) == SMALL[f"num_{split}"]
        seen = set()
        for info in (dataset.get_data_info(i) for i in range(len(dataset))):
            image = cv2.imread(info["img_path"], cv2.IMREAD_UNCHANGED)
            labels = cv2.imread(info["seg_map_path"], cv2.IMREAD_UNCHANGED)
            assert image.shape == (64, 64, 3)
            assert labels.shape == (64, 64)
            seen |= set(np.unique(labels).tolist())
        assert seen == set(range(len(dataset.metainfo["classes"])))
    assert len(dataset.metainfo["palette"]) == 5


def test_labels_follow_the_stripes(folder):
    """Along its stripes a shape changes less than across them."""
    dataset = TexturedShapesMasks(str(folder), **{**SMALL, "image_size": 192})
    names = dataset.metainfo["classes"]
    right = []
    for info in (dataset.get_data_info(i) for i in range(len(dataset))):
        image = cv2.imread(info["img_path"]).astype(float).mean(2)
        labels = cv2.imread(info["seg_map_path"], cv2.IMREAD_UNCHANGED)
        for label in range(1, 5):
            inside = cv2.erode((labels == label).astype(np.uint8), np.ones((3, 3))) > 0
            if inside.sum() < 100:
                continue
            rows, columns = (np.abs(np.gradient(image, axis=a)) for a in (0, 1))
            horizontal = rows[inside].mean() > columns[inside].mean()
            right.append(horizontal == names[label].endswith("horizontal"))
    assert len(right) > 20
    assert np.mean(right) == 1


@pytest.mark.detection
def test_masks_are_those_of_the_objects(tmp_path):
    from mmresizer.datasets.textured_shapes import TexturedShapes

    masks = TexturedShapesMasks(str(tmp_path / "a"), **SMALL)
    objects = TexturedShapes(str(tmp_path / "b"), **SMALL)
    for i in range(len(objects)):
        ours, theirs = masks.get_data_info(i), objects.get_data_info(i)
        assert np.array_equal(
            cv2.imread(ours["img_path"]), cv2.imread(theirs["img_path"])
        )
        labels = cv2.imread(ours["seg_map_path"], cv2.IMREAD_UNCHANGED)
        found = {box["bbox_label"] + 1 for box in theirs["instances"]}
        assert set(np.unique(labels).tolist()) - {0} == found


def test_keeps_what_is_there(folder):
    TexturedShapesMasks(str(folder), **SMALL)
    with pytest.raises(InputError, match="move it away"):
        TexturedShapesMasks(str(folder), **{**SMALL, "image_size": 32})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(split="test"), "split must be .*, got 'test'"),
        (dict(num_val=0), "num_val must be an int of 1 or more, got 0"),
        (dict(image_size=31), "image_size must be an int of 32 or more, got 31"),
    ],
)
def test_bad_arguments(folder, change, message):
    with pytest.raises(InputError, match=message):
        TexturedShapesMasks(str(folder), **{**SMALL, **change})
    assert not folder.exists()
