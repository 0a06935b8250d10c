"""The checks of built datasets, through the builders of training and test."""

import json
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import RepeatDataset
from mmengine.hub import get_config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmpretrain.datasets import CustomDataset
from PIL import Image

from mmresizer.config.building import build_data
from mmresizer.config.data_checks import check_trained_classes, find_heads
from mmresizer.utils import InputError

CLASSES = ("a", "b", "c")
WRAPPERS = {
    "none": lambda data: data,
    "RepeatDataset": lambda data: dict(type="RepeatDataset", times=2, dataset=data),
    "ClassBalancedDataset": lambda data: dict(
        type="ClassBalancedDataset", oversample_thr=0.5, dataset=data
    ),
    "KFoldDataset": lambda data: dict(type="KFoldDataset", num_splits=2, dataset=data),
    "ConcatDataset": lambda data: dict(type="ConcatDataset", datasets=[data]),
    "nested": lambda data: dict(
        type="ConcatDataset",
        datasets=[dict(type="KFoldDataset", num_splits=2, dataset=data)],
    ),
}


def write_image(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4)).save(path)


@pytest.fixture
def root(tmp_path):
    """Folders of the classes a, b and c, two images each."""
    for split in ("train", "val"):
        for name in CLASSES:
            for i in range(2):
                write_image(tmp_path / split / name / f"{i}.png")
    return tmp_path


def folders(root, split, **settings):
    return dict(type="CustomDataset", data_prefix=str(root / split), **settings)


def listed(root, lines, name="list.txt", **settings):
    """A dataset of a list of images and labels."""
    (root / name).write_text(lines)
    files = dict(data_prefix=str(root / "train"), ann_file=str(root / name))
    return dict(type="CustomDataset", **files, **settings)


def classifier(num_classes=3, **head):
    head = dict(type="LinearClsHead", in_channels=4, num_classes=num_classes) | head
    return dict(
        type="mmresizer.ResizerClassifier",
        backbone=dict(type="LeNet5"),
        resizer=dict(type="mmresizer.InterpolationResizer", output_size=4),
        head={key: value for key, value in head.items() if value is not None},
    )


def check(tmp_path, model, scope="mmpretrain", **datasets):
    """Builds and checks datasets, by split, as training and test do."""
    cfg = dict(model=model, work_dir=str(tmp_path / "run"), default_scope=scope)
    cfg["log_level"] = "WARNING"
    for split, dataset in datasets.items():
        sampler = dict(type="DefaultSampler", shuffle=False)
        cfg[f"{split}_dataloader"] = dict(
            batch_size=1, num_workers=0, dataset=dataset, sampler=sampler
        )
        cfg[f"{split}_cfg"] = dict()
        if split == "train":
            cfg["train_cfg"] = dict(by_epoch=True, max_epochs=1)
            cfg["optim_wrapper"] = dict(optimizer=dict(type="SGD", lr=0.1))
        else:
            cfg[f"{split}_evaluator"] = dict(type="mmpretrain.Accuracy")
    cfg = Config(cfg)
    init_default_scope(scope)
    build_data(Runner.from_cfg(cfg), cfg, *datasets)


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_folder_of_a_class_that_one_split_lacks(root, wrapper):
    """Labels are the positions of the folders: b and c would differ."""
    wrap = WRAPPERS[wrapper]
    data = dict(train=wrap(folders(root, "train")), val=folders(root, "val"))
    check(root, classifier(), **data)
    for path in (root / "train" / "b").iterdir():
        path.unlink()
    (root / "train" / "b").rmdir()
    with pytest.raises(InputError, match=r"must hold the same classes, but 'b' is in"):
        check(root, classifier(), **data)
    with pytest.raises(
        InputError, match=r"the 3 classes of model\.head.*holds 2: a, c"
    ):
        check(root, classifier(), test=wrap(folders(root, "train")))


@pytest.mark.parametrize(
    ("split", "wrapper", "label", "serialize"),
    [
        ("train", "none", 3, True),
        ("train", "nested", -1, True),
        ("train", "none", 3, False),
        ("val", "nested", 300, True),
        ("test", "none", 3, True),
    ],
)
def test_label_outside_the_range(root, split, wrapper, label, serialize):
    """The first one is named; nothing else of the list is at fault."""
    lines = f"a/0.png 0\nb/0.png 2\nc/0.png {label}\nc/1.png 7\n"
    data = listed(root, lines, serialize_data=serialize)
    if split == "val":
        data = dict(train=folders(root, "train"), val=WRAPPERS[wrapper](data))
    else:
        data = {split: WRAPPERS[wrapper](data)}
    with pytest.raises(
        InputError, match=rf"from 0 to 2, but that of '\S*c/0\.png' is {label}$"
    ):
        check(root, classifier(), **data)
    check(root, classifier(301), train=listed(root, lines.replace("-1", "5")))


@pytest.mark.parametrize("label", ["1", 1.0])
def test_label_that_is_no_int(root, label):
    data = dict(type="BaseDataset", ann_file=write_json(root, [0, label]), pipeline=[])
    with pytest.raises(
        InputError, match=rf"ints from 0 to 2, but .*1\.png' is {label!r}"
    ):
        check(root, classifier(), train=data)


def write_json(root, labels, classes=CLASSES):
    items = [
        dict(img_path=f"{i}.png", gt_label=label) for i, label in enumerate(labels)
    ]
    path = root / "list.json"
    path.write_text(json.dumps(dict(metainfo=dict(classes=classes), data_list=items)))
    return str(path)


def test_labels_of_several_classes(root):
    model = classifier(type="MultiLabelLinearClsHead")
    file = write_json(root, [[0, 1, 2], [], [2]])
    check(root, model, train=dict(type="MultiLabelDataset", ann_file=file))
    file = write_json(root, [[0, 1], [], [1, 3]])
    with pytest.raises(InputError, match=r"that of '2\.png' is 3"):
        check(root, model, train=dict(type="MultiLabelDataset", ann_file=file))


@pytest.mark.parametrize(
    "head",
    [
        dict(type="mmresizer.IQAHead", num_classes=None),
        dict(type="mmresizer.IQAHead", num_classes=None, regression=True),
        dict(type="LinearRegressionHead", num_classes=1),
    ],
    ids=["scores", "mean", "regression"],
)
def test_numbers_that_are_no_labels(root, head):
    file = write_json(root, [-1, 12, 3.5], classes=None)
    check(root, classifier(**head), train=dict(type="BaseDataset", ann_file=file))


def test_more_names_than_outputs(root):
    data = listed(root, "a/0.png 0\n", metainfo=dict(classes=CLASSES))
    check(root, classifier(4), test=data)
    with pytest.raises(
        InputError, match=r"3 classes \(a, b, c\), but model\.head.* 2$"
    ):
        check(root, classifier(2), test=data)


@pytest.mark.parametrize(
    ("classes", "sentence"),
    [
        (
            ["c", "a", "b"],
            r"calls label 0 'c', which '\S*train' calls 'a'; .*: a, b, c",
        ),
        (
            ["a", "b", "d"],
            r"calls label 2 'd', which '\S*train' calls 'c'; .*: a, b, c",
        ),
        ("abc", r"must be a list of names, such as \('abc',\), but is 'abc'"),
    ],
)
def test_names_that_are_not_the_folders(root, classes, sentence):
    data = folders(root, "train", metainfo=dict(classes=classes))
    with pytest.raises(InputError, match=sentence):
        check(root, classifier(), test=WRAPPERS["RepeatDataset"](data))
    check(root, classifier(), test=folders(root, "train", classes=CLASSES))


def test_names_of_a_list_with_its_own(root):
    file = write_json(root, [0, 1, 2])
    data = dict(type="BaseDataset", ann_file=file)
    check(root, classifier(), train=data | dict(classes=["an a", "a b", "a c"]))
    with pytest.raises(InputError, match=r"calls label 1 'c', which '\S*' calls 'b'"):
        check(root, classifier(), train=data | dict(classes=["a", "c", "b"]))


def test_names_that_differ_between_splits(root):
    train = listed(root, "a/0.png 0\n", "1.txt", metainfo=dict(classes=CLASSES))
    val = listed(root, "a/0.png 0\n", "2.txt", metainfo=dict(classes=("a", "c", "b")))
    with pytest.raises(InputError, match=r"label 1 is 'b' in '\S*1.txt' and 'c' in"):
        check(root, classifier(), train=train, val=val)


@pytest.mark.parametrize(
    ("text", "line", "fault"),
    [
        ("a/0.png 0\nb/0.png 1\n\n", 3, "not be blank, but is ''"),
        ("a/0.png 0\n \nb/0.png 1\n", 2, "not be blank, but is ' '"),
        ("a/0.png 0\nb/0.png\t1\n", 2, r"be a path, a space and a label, .*\\t1'"),
        ("a/0.png x\n", 1, "be a path, a space and a label, .*'a/0.png x'"),
    ],
)
@pytest.mark.parametrize("wrapper", ["none", "nested"])
def test_line_of_a_list(root, text, line, fault, wrapper):
    data = WRAPPERS[wrapper](listed(root, text))
    with pytest.raises(
        InputError, match=rf"line {line} of '\S*list\.txt' must {fault}"
    ):
        check(root, classifier(), train=data)


def test_blank_line_of_another_list(root):
    for name in ("images", "image_class_labels", "train_test_split"):
        (root / f"{name}.txt").write_text("1 1\n")
    (root / "train_test_split.txt").write_text("1 1\n\n")
    with pytest.raises(
        InputError, match=r"line 2 of '\S*split\.txt' must not be blank"
    ):
        check(root, classifier(200), train=dict(type="CUB", data_root=str(root)))


def rename(root, split, name, suffix):
    for path in (root / split / name).iterdir():
        path.rename(path.with_suffix(suffix))


def test_folder_of_other_files(root, capfd):
    rename(root, "train", "a", ".PNG")  # upper case is accepted
    data = dict(train=folders(root, "train"), val=folders(root, "val"))
    check(root, classifier(), **data)
    for split in ("train", "val"):
        rename(root, split, "b", ".webp")
        with pytest.raises(
            InputError,
            match=rf"'\S*{split}/b' must hold .*\.png.*holds only .*b/0\.webp'$",
        ):
            check(root, classifier(), **data)
        check(
            root,
            classifier(),
            train=folders(root, "train", extensions=[".png", ".webp"]),
        )
        rename(root, split, "b", ".png")
    write_image(root / "train" / "c" / "2.gif")
    check(root, classifier(), **data)
    assert "left out: 1, such as" in (said := capfd.readouterr().out)
    assert "c/2.gif'" in said


def test_empty_folder(root):
    """It is a class without test images, but not one that can be learned."""
    for split in ("val", "train"):
        check(
            root, classifier(), val=folders(root, "val"), train=folders(root, "train")
        )
        for path in (root / split / "b").iterdir():
            path.unlink()
    with pytest.raises(InputError, match=r"'\S*train/b' must hold .*but holds none"):
        check(
            root, classifier(), val=folders(root, "val"), train=folders(root, "train")
        )


def coco(root, names, name="boxes.json", number=2, **settings):
    """A COCO file of two images with a box for each of two categories."""
    images = [
        dict(id=i, file_name=f"{i}.png", height=9, width=9) for i in range(number)
    ]
    box = dict(bbox=[1, 1, 5, 5], area=25, iscrowd=0)
    annotations = [
        dict(id=2 * i + k, image_id=i, category_id=7 + k, **box)
        for i in range(number)
        for k in range(2)
    ]
    categories = [dict(id=7 + k, name=each) for k, each in enumerate(names)]
    content = dict(images=images, annotations=annotations, categories=categories)
    (root / name).write_text(json.dumps(content))
    files = dict(ann_file=str(root / name), data_prefix=dict(img=str(root)))
    return dict(type="CocoDataset", **files, **settings)


def detector(num_classes=2):
    return dict(
        type="mmresizer.ResizerDetector",
        detector="FCOS",
        resizer=dict(type="mmresizer.InterpolationResizer", scale_factor=0.5),
        backbone=dict(type="ResNet", depth=18, base_channels=4),
        neck=dict(type="FPN", in_channels=[4, 8, 16, 32], out_channels=4, num_outs=5),
        bbox_head=dict(
            type="FCOSHead", num_classes=num_classes, in_channels=4, feat_channels=32
        ),
    )


@pytest.mark.detection
@pytest.mark.parametrize(
    ("split", "wrapper"),
    [("train", "MultiImageMixDataset"), ("val", "RepeatDataset"), ("test", "none")],
)
@pytest.mark.parametrize(
    ("classes", "sentence"),
    [
        (("disk", "bars"), "label 0 'disk', which .*json' does not have; .* disc, bar"),
        (("disc", "bars"), "label 1 'bars', which .*json' does not have; .* disc, bar"),
        (("bar", "disc"), "label 0 'bar', which .*json' calls 'disc'; .* disc, bar$"),
        (None, "label 0 'person', which .*json' does not have; .* disc, bar"),
        ("disc", r"list of names, such as \('disc',\), but is 'disc'"),
    ],
)
def test_names_that_are_not_those_of_coco(root, wrapper, split, classes, sentence):
    meta = {} if classes is None else dict(metainfo=dict(classes=classes))
    data = coco(root, ("disc", "bar"), **meta)
    if wrapper == "MultiImageMixDataset":
        data = dict(type=wrapper, dataset=data, pipeline=[])
    data = {split: WRAPPERS.get(wrapper, WRAPPERS["none"])(data)}
    with pytest.raises(InputError, match=sentence):
        check(root, detector(), scope="mmdet", **data)


@pytest.mark.detection
def test_no_image_is_left(root):
    """MMDetection cannot build a dataset without images."""
    data = coco(
        root,
        ("disc", "bar"),
        metainfo=dict(classes=("disk", "bars")),
        filter_cfg=dict(filter_empty_gt=True),
    )
    with pytest.raises(InputError, match=r"label 0 'disk', which .* does not have"):
        check(root, detector(), scope="mmdet", train=data)


@pytest.mark.detection
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_head_of_a_detector(root, split):
    data = coco(root, ("disc", "bar"), metainfo=dict(classes=("disc", "bar")))
    check(root, detector(), scope="mmdet", **{split: data})
    for count in (1, 3):
        with pytest.raises(
            InputError,
            match=rf"2 classes \(disc, bar\), but model\.bbox_head.* {count}$",
        ):
            check(root, detector(count), scope="mmdet", **{split: data})
    # Part of the categories, and one of them without boxes.
    data = coco(root, ("x", "bar", "ring"), metainfo=dict(classes=("bar", "ring")))
    check(root, detector(), scope="mmdet", **{split: data})


@pytest.mark.detection
def test_no_boxes(root):
    """A test set may be without annotations, as those of challenges are."""
    data = coco(root, ("x", "y", "disc", "bar"), metainfo=dict(classes=("disc", "bar")))
    check(root, detector(), scope="mmdet", test=data)
    with pytest.raises(InputError, match="must have boxes of the classes disc, bar"):
        check(root, detector(), scope="mmdet", train=data)


@pytest.mark.detection
def test_backgrounds_beside_objects(root):
    """Some datasets of a training may be without boxes, not all of them."""
    meta = dict(metainfo=dict(classes=("disc", "bar")))
    objects = coco(root, ("disc", "bar"), **meta)
    empty = coco(root, ("disc", "bar"), "background.json", **meta)
    content = json.loads((root / "background.json").read_text())
    (root / "background.json").write_text(json.dumps({**content, "annotations": []}))
    both = dict(type="ConcatDataset", datasets=[objects, empty])
    check(root, detector(), scope="mmdet", train=both, val=objects)
    with pytest.raises(InputError, match=r"'\S*background.json'\) must have boxes"):
        check(root, detector(), scope="mmdet", train=empty)


@pytest.mark.detection
def test_prompted_detectors_take_any_label(root):
    """Their heads have room for words, and classes are texts."""
    meta = dict(metainfo=dict(classes=("disc", "bar")))
    data = coco(root, ("disc", "bar"), return_classes=True, **meta)
    check(root, detector(1), scope="mmdet", train=data)


@pytest.mark.detection
@pytest.mark.parametrize("split", ["train", "test"])
def test_names_of_xml_files(root, split):
    write_image(root / "JPEGImages" / "0.jpg")
    (root / "Annotations").mkdir()
    box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>3</xmax><ymax>3</ymax></bndbox>"
    objects = "".join(f"<object><name>{n}</name>{box}</object>" for n in ("disc", "x"))
    (root / "Annotations" / "0.xml").write_text(
        f"<annotation><size><width>4</width><height>4</height></size>{objects}"
        "</annotation>"
    )
    (root / "ids.txt").write_text("0\n")

    def data(*classes):
        return dict(
            type="XMLDataset",
            data_root=str(root),
            data_prefix=dict(sub_data_root="."),
            ann_file="ids.txt",
            metainfo=dict(classes=classes),
        )

    check(root, detector(1), scope="mmdet", **{split: data("disc")})
    check(root, detector(2), scope="mmdet", **{split: data("x", "disc")})
    if split == "test":  # a small one may lack a class
        check(root, detector(2), scope="mmdet", test=data("disc", "bar"))
    wrong = data("disc", "bar") if split == "train" else data("disk", "bar")
    fault = r"no box is a '(bar|disk)', and '\S*0\.xml' has a '(x|disc)'"
    with pytest.raises(InputError, match=fault):
        check(root, detector(2), scope="mmdet", **{split: wrong})
    (root / "ids.txt").write_text("0\n\n")
    with pytest.raises(InputError, match=r"line 2 of '\S*ids\.txt' must not be blank"):
        check(root, detector(1), scope="mmdet", **{split: data("disc")})


@pytest.mark.detection
def test_boxes_of_other_labels(root):
    """The format of OpenMMLab has labels, and no names for them."""
    instances = [dict(bbox=[1, 1, 3, 3], bbox_label=k, ignore_flag=0) for k in (0, 2)]
    item = dict(img_path="0.png", height=4, width=4, instances=instances)
    content = dict(metainfo=dict(classes=("disc", "bar")), data_list=[item])
    (root / "boxes.json").write_text(json.dumps(content))
    data = dict(type="BaseDetDataset", ann_file=str(root / "boxes.json"))
    with pytest.raises(InputError, match=r"from 0 to 1, but that of '0\.png' is 2"):
        check(root, detector(), scope="mmdet", train=data)


@pytest.mark.detection
@pytest.mark.parametrize(
    ("path", "count"),
    [
        ("cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py", 6),
        ("detr/detr_r50_8xb2-150e_coco.py", 1),
        ("dino/dino-4scale_r50_8xb2-12e_coco.py", 2),  # and its noisy queries
        ("retinanet/retinanet_r50_fpn_1x_coco.py", 1),
        (
            "soft_teacher/soft-teacher_faster-rcnn_r50-caffe_fpn_180k_semi-0.1-coco.py",
            2,
        ),
    ],
)
def test_finds_heads(path, count):
    """Those that MMDetection's own hook checks, in each of them."""
    from mmdet.engine.hooks import NumClassCheckHook
    from mmdet.registry import MODELS

    init_default_scope("mmdet")
    cfg = get_config(f"mmdet::{path}")
    with torch.device("meta"):
        model = MODELS.build(cfg.model)
    heads = find_heads(cfg, model)
    assert list(heads.values()) == [80] * count
    dataset = SimpleNamespace(metainfo=dict(classes=[f"{i}" for i in range(80)]))
    runner = SimpleNamespace(
        model=model, train_dataloader=SimpleNamespace(dataset=dataset)
    )
    hook = NumClassCheckHook()
    hook._check_head(runner, "train")
    for name in heads:
        head = model.get_submodule(name.removeprefix("model.").rpartition(".")[0])
        head.num_classes = 79
        with pytest.raises(AssertionError):
            hook._check_head(runner, "train")
        assert find_heads(cfg, model)[name] == 79
        head.num_classes = 80


@pytest.mark.detection
def test_proposals_have_no_classes():
    from mmdet.registry import MODELS

    init_default_scope("mmdet")
    cfg = get_config("mmdet::rpn/rpn_r50_fpn_1x_coco.py")
    with torch.device("meta"):
        assert find_heads(cfg, MODELS.build(cfg.model)) == {}


def test_classes_that_the_model_was_trained_with(root):
    """Without class a, what was b is called a by the labels of the folders."""
    dataset = CustomDataset(data_prefix=str(root / "train"))
    meta = dict(dataset_meta=dict(classes=CLASSES))
    check_trained_classes(dict(meta=meta), dataset)
    check_trained_classes(dict(meta=dict(dataset_meta=None)), dataset)
    (root / "train" / "a").rename(root / "train" / "z")
    renamed = RepeatDataset(CustomDataset(data_prefix=str(root / "train")), 2)
    with pytest.raises(InputError, match=r"label 0 was 'a', and is 'b' in '\S*train'"):
        check_trained_classes(dict(meta=meta), renamed)
