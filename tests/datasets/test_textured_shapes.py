import multiprocessing
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from pycocotools.coco import COCO

from mmresizer.datasets.textured_shapes import TexturedShapes
from mmresizer.utils import InputError

CONFIG = Path(__file__).parents[2] / "configs/_base_/datasets/textured_shapes_192.py"
NUM = dict(num_train=20, num_val=36)
SMALL = dict(num_train=3, num_val=2, image_size=48)


def contents(folder):
    """Returns the bytes of each file below a folder, by name."""
    files = (path for path in Path(folder).rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A dataset of 20 images for training and 36 for validation."""
    folder = tmp_path_factory.mktemp("shapes") / "data"
    TexturedShapes(str(folder), **NUM)
    return folder


@pytest.fixture(scope="module")
def coco(folder):
    """The annotations of the validation set."""
    return COCO(folder / "annotations" / "instances_val.json")


@pytest.fixture(scope="module")
def objects(coco, folder):
    """(image, mask, annotation) of every object that is not a crowd."""
    names = {i: folder / "val" / coco.imgs[i]["file_name"] for i in coco.imgs}
    images = {i: cv2.imread(str(path)).astype(float) for i, path in names.items()}
    return [
        (images[ann["image_id"]], coco.annToMask(ann).astype(bool), ann)
        for ann in coco.anns.values()
        if not ann["iscrowd"]
    ]


def test_layout(folder):
    files = contents(folder)
    assert len(files) == 20 + 36 + 3
    assert {"train/000019.png", "val/000035.png", "settings.json"} < set(files)
    image = cv2.imread(str(folder / "train" / "000000.png"))
    assert image.shape == (192, 192, 3)
    for name in ("annotations/instances_train.json", "annotations/instances_val.json"):
        assert b'"iscrowd": 1' in files[name]


def test_boxes_and_areas_are_those_of_the_masks(coco):
    assert len(coco.anns) > 100
    for ann in coco.anns.values():
        mask = coco.annToMask(ann)
        rows, columns = np.where(mask)
        x, y = columns.min(), rows.min()
        width, height = columns.max() - x + 1, rows.max() - y + 1
        assert ann["bbox"] == [x, y, width, height]
        assert ann["area"] == mask.sum()


def test_ids_are_unique(coco):
    """The index of pycocotools keeps one of each id."""
    annotations = coco.dataset["annotations"]
    assert len(coco.anns) == len(annotations)
    assert 0 not in coco.anns  # no match, in COCOeval
    assert len(coco.imgs) == len(coco.dataset["images"]) == 36
    assert {ann["image_id"] for ann in annotations} < set(coco.imgs)
    assert {ann["category_id"] for ann in annotations} == set(coco.cats)


def test_objects_do_not_overlap(coco):
    for image in coco.imgs:
        masks = [coco.annToMask(ann) for ann in coco.imgToAnns[image]]
        assert not masks or np.sum(masks, axis=0).max() == 1


def test_some_images_are_empty_and_some_have_a_crowd(coco):
    empty = [i for i in coco.imgs if not coco.imgToAnns[i]]
    crowds = [ann for ann in coco.anns.values() if ann["iscrowd"]]
    assert 1 <= len(empty) <= 6
    assert 1 <= len(crowds) <= 6
    for ann in crowds:  # several shapes
        assert cv2.connectedComponents(coco.annToMask(ann))[0] > 3


def test_sizes(objects):
    widths = np.array([ann["bbox"][2] for _, _, ann in objects])
    assert widths.min() >= 3
    assert widths.max() <= 192 / 3 + 1
    assert 0.1 < np.mean(widths <= 8) < 0.4
    assert 0.1 < np.mean(widths >= 32) < 0.4


def test_class_is_outline_and_orientation(coco, objects):
    """A disc fills more of its box than a triangle; stripes vary in one direction."""
    seen = set()
    for image, mask, ann in objects:
        if ann["area"] < 100:
            continue
        name = coco.cats[ann["category_id"]]["name"]
        fill = ann["area"] / (ann["bbox"][2] * ann["bbox"][3])
        down = np.abs(np.diff(image, axis=0))[mask[1:] & mask[:-1]].mean()
        right = np.abs(np.diff(image, axis=1))[mask[:, 1:] & mask[:, :-1]].mean()
        outline = "disc" if fill > 0.65 else "triangle"
        assert name == f"{outline}-{'horizontal' if down > right else 'vertical'}"
        seen.add(name)
    assert seen == set(TexturedShapes.METAINFO["classes"])


def test_masks_are_where_the_stripes_are(coco, folder, objects):
    """Not a pixel of a stripe lies outside the masks."""
    for i, info in coco.imgs.items():
        grey = cv2.imread(str(folder / "val" / info["file_name"])).mean(axis=2)
        outside = np.ones(grey.shape, dtype=bool)
        for ann in coco.imgToAnns[i]:
            outside &= coco.annToMask(ann) == 0
        steps = np.abs(np.diff(grey, axis=0))[outside[1:] & outside[:-1]]
        assert steps.max() < 40  # noise; stripes have some of 60 and more
    for image, mask, ann in objects:
        axis = (ann["category_id"] - 1) % 2
        steps = np.abs(np.diff(image.mean(axis=2), axis=axis))
        ahead, behind = np.delete(mask, 0, axis), np.delete(mask, -1, axis)
        assert steps[ahead & behind].max() > 40


def test_is_deterministic(folder, tmp_path, run):
    """The same in another process; different by seed and split."""
    code = f"""
from mmresizer.datasets.textured_shapes import TexturedShapes
TexturedShapes({str(tmp_path / "again")!r}, split="val", **{NUM})
"""
    status, output = run(sys.executable, "-c", code)
    assert status == 0, output
    reference = contents(folder)
    assert contents(tmp_path / "again") == reference
    assert reference["train/000000.png"] != reference["val/000000.png"]
    TexturedShapes(str(tmp_path / "other"), num_train=20, num_val=1, seed=1)
    other = contents(tmp_path / "other")
    train = [name for name in reference if name.startswith("train/")]
    assert all(reference[name] != other[name] for name in train)
    assert len({reference[name] for name in train}) == 20


pytestmark = pytest.mark.detection


def test_image_does_not_depend_on_the_number_of_images(folder, tmp_path):
    TexturedShapes(str(tmp_path / "few"), num_train=2, num_val=1)
    few, reference = contents(tmp_path / "few"), contents(folder)
    for name in ("train/000000.png", "train/000001.png", "val/000000.png"):
        assert few[name] == reference[name]


class GroundTruth(BaseModel):
    """Predicts the ground truth, moved to the right, back in the original image."""

    def __init__(self, shift):
        super().__init__()
        self.shift = shift

    def forward(self, inputs, data_samples, mode):
        for sample, image in zip(data_samples, inputs, strict=True):
            assert image.shape == (3, 192, 192)
            truth = sample.gt_instances
            boxes = truth.bboxes.tensor / torch.tensor(sample.scale_factor).repeat(2)
            masks = torch.from_numpy(truth.masks.masks.astype(bool))
            sample.pred_instances = InstanceData(
                bboxes=boxes + torch.tensor([self.shift, 0, self.shift, 0]),
                masks=masks.roll(self.shift, dims=2),
                labels=truth.labels,
                scores=torch.ones(len(boxes)),
            )
        return data_samples


@pytest.mark.parametrize("shift", [0, 1])
def test_config_evaluates_the_ground_truth_as_perfect(tmp_path, shift):
    """With a folder that the dataset writes before the metric reads it."""
    cfg = Config.fromfile(CONFIG)
    root = f"{tmp_path}/shapes/"
    assert (
        cfg.val_evaluator.ann_file == f"{cfg.data_root}annotations/instances_val.json"
    )
    cfg.merge_from_dict(
        {
            "val_dataloader.dataset.data_root": root,
            "val_dataloader.dataset.num_train": 1,
            "val_dataloader.dataset.num_val": 32,
            "val_dataloader.num_workers": 0,
            "val_evaluator.ann_file": f"{root}annotations/instances_val.json",
            "val_evaluator.metric": ["bbox", "segm"],
        }
    )
    with DefaultScope.overwrite_default_scope("mmdet"):
        runner = Runner(
            GroundTruth(shift),
            work_dir=str(tmp_path / "work"),
            val_dataloader=cfg.val_dataloader,
            val_cfg=dict(),
            val_evaluator=cfg.val_evaluator,
            default_scope="mmdet",
        )
        metrics = runner.val()
    for kind in ("bbox", "segm"):
        if shift:
            assert 0.3 < metrics[f"coco/{kind}_mAP"] < 0.9
        else:
            assert metrics[f"coco/{kind}_mAP"] == 1
            assert metrics[f"coco/{kind}_mAP_s"] == 1


def test_training_pipeline(folder):
    """Images without objects are left out; crowds are to be ignored."""
    cfg = Config.fromfile(CONFIG)
    dataset = cfg.train_dataloader.dataset
    dataset.update(data_root=str(folder), **NUM)
    dataset.pop("type")
    with DefaultScope.overwrite_default_scope("mmdet"):
        dataset = TexturedShapes(**dataset)
        samples = [dataset[i]["data_samples"] for i in range(len(dataset))]
    assert len(samples) == 19
    assert [len(s.ignored_instances) for s in samples].count(1) == 1
    for sample in samples:
        truth = sample.gt_instances
        assert len(truth) > 0
        assert len(truth.bboxes) == len(truth.masks) == len(truth.labels)
        torch.testing.assert_close(
            truth.masks.get_bboxes("hbox").tensor, truth.bboxes.tensor
        )


def test_other_processes_wait(tmp_path):
    """All start at the same moment, and all find the whole dataset."""
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(3)

    def load():
        barrier.wait()
        dataset = TexturedShapes(str(tmp_path / "shared"), **NUM)
        assert len(list(Path(dataset.data_prefix["img"]).iterdir())) == len(dataset)

    processes = [context.Process(target=load) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert {path.name for path in tmp_path.iterdir()} <= {"shared", ".shared.lock"}


def test_recovers_from_an_interruption(tmp_path, monkeypatch):
    TexturedShapes(str(tmp_path / "reference"), **SMALL)
    folder = tmp_path / "data"
    encode, calls = cv2.imencode, []

    def interrupt(*args):
        calls.append(args)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return encode(*args)

    with monkeypatch.context() as patch:
        patch.setattr(cv2, "imencode", interrupt)
        with pytest.raises(KeyboardInterrupt):
            TexturedShapes(str(folder), **SMALL)
    assert not folder.exists()
    (left,) = tmp_path.glob(".data.part")
    (left / "train" / "000099.png").write_bytes(b"of other arguments")
    TexturedShapes(str(folder), **SMALL)
    assert contents(folder) == contents(tmp_path / "reference")
    assert not left.exists()


def test_writes_into_an_empty_folder_and_once(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    assert len(TexturedShapes(str(folder), **SMALL)) == 3
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    (tmp_path / ".data.lock").unlink(missing_ok=True)
    assert len(TexturedShapes(str(folder), split="val", **SMALL)) == 2
    assert times == {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    # Nor is a lock needed, where nothing can be written.
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize(
    "files",
    [
        {"notes.txt": "mine"},
        {"train/000000.png": "mine", "annotations/instances_train.json": "{}"},
        {"settings.json": "{"},
        {"settings.json": '{"seed": 0}'},
    ],
)
def test_refuses_a_folder_of_something_else(tmp_path, files):
    folder = tmp_path / "data"
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    with pytest.raises(InputError, match=r"data' has .* in it.*another data_root"):
        TexturedShapes(str(folder), **SMALL)
    assert contents(tmp_path) == {f"data/{k}": v.encode() for k, v in files.items()}


def test_refuses_a_file(tmp_path):
    (tmp_path / "data").write_text("mine")
    with pytest.raises(InputError, match="something else"):
        TexturedShapes(str(tmp_path / "data"), **SMALL)
    assert contents(tmp_path) == {"data": b"mine"}


@pytest.mark.parametrize(
    ("name", "value"),
    [("num_train", 4), ("num_val", 3), ("image_size", 50), ("seed", 1)],
)
def test_refuses_shapes_of_other_arguments(tmp_path, name, value):
    TexturedShapes(str(tmp_path / "data"), **SMALL)
    before = contents(tmp_path)
    with pytest.raises(InputError, match=rf"'num_train': 3.*not.*'{name}': {value}"):
        TexturedShapes(str(tmp_path / "data"), **{**SMALL, name: value})
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        (dict(split="test"), "split must be one of train, val, got 'test'"),
        (dict(num_train=0), "num_train must be an int of 1 or more, got 0"),
        (dict(num_val=1.5), "num_val must be an int of 1 or more, got 1.5"),
        (dict(image_size=31), "image_size must be an int of 32 or more, got 31"),
        (dict(seed=-1), "seed must be an int of 0 or more, got -1"),
    ],
)
def test_refuses(tmp_path, kwargs, message):
    with pytest.raises(InputError, match=message):
        TexturedShapes(str(tmp_path / "data"), **{**SMALL, **kwargs})
    assert not list(tmp_path.iterdir())


def test_smallest_images(tmp_path):
    dataset = TexturedShapes(
        str(tmp_path / "data"), num_train=40, num_val=1, image_size=32
    )
    assert sum(len(dataset.get_cat_ids(i)) for i in range(40)) > 40


def test_classification_does_not_import_mmdet(run):
    code = "import sys, mmresizer.datasets; sys.exit('mmdet' in sys.modules)"
    status, output = run(sys.executable, "-c", code)
    assert status == 0, output
