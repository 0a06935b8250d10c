"""Each family trains on a small stand-in of its dataset, in its layout on the disk."""

import json
import os
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from config_names import NAME, load_at, load_recipe, read_commands
from mmengine.config import Config

from mmresizer.apis import train_model
from mmresizer.datasets import Imagenette, Imagewoof
from mmresizer.datasets.preparation.deep_pcb import DEFECTS

CONFIGS = Path(__file__).parents[2] / "configs"


def find(name):
    (path,) = CONFIGS.glob(f"*/{name}.py")
    return path


def write_images(root, names):
    rng = np.random.default_rng(0)
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        image = rng.integers(0, 255, (40, 60, 3), dtype=np.uint8)
        assert cv2.imwrite(str(root / name), image)


def make_class_folders(root, classes):
    for split in ("train", "val"):
        names = [f"{name}/{i}.JPEG" for name in classes for i in range(2)]
        write_images(root / split, names)


def make_imagenet(root):
    """One image under 1,000 names; those of validation are those of training."""
    wnids = files("mmresizer.datasets.preparation") / "lists/imagenet_wnids.txt"
    first, *others = wnids.read_text().split()
    write_images(root / "train", [f"{first}/0.JPEG"])
    for name in others:
        (root / "train" / name).mkdir()
        os.link(root / "train" / first / "0.JPEG", root / "train" / name / "0.JPEG")
    (root / "val").symlink_to("train")


def make_cats_dogs(root):
    names = [f"{name}/{i}.jpg" for name in ("Cat", "Dog") for i in range(2)]
    write_images(root, names)
    (root / "meta").mkdir()
    for name in ("train_40", "train_90", "val_10"):
        lines = [f"{name} {int(name[0] == 'D')}\n" for name in names]
        (root / "meta" / f"{name}.txt").write_text("".join(lines))


def make_cub(root):
    names = [f"{i:03d}.bird/bird_{i}.jpg" for i in range(1, 9)]
    write_images(root / "images", names)
    tables = {
        "images.txt": names,
        "image_class_labels.txt": range(1, 9),
        "train_test_split.txt": [1, 1, 1, 1, 0, 0, 0, 0],
    }
    for name, values in tables.items():
        lines = [f"{i} {value}\n" for i, value in enumerate(values, 1)]
        (root / name).write_text("".join(lines))


def write_photos(root, names):
    """Images of the size of CUB's copy and more."""
    write_images(root, names)
    for name in names:
        image = cv2.imread(str(root / name))
        cv2.imwrite(str(root / name), cv2.resize(image, (240, 240)))


def make_cub_100(root):
    names = [f"bird{i}/{i}.jpg" for i in range(4)]
    write_photos(root / "images", names)
    make_lists(root, names)


def make_playing_cards(root):
    names = [f"train/card{i}/{i}.jpg" for i in range(4)]
    write_photos(root, names)
    make_lists(root, names)


def make_steel(root):
    names = [f"IMAGES/defect{i}_{i}.jpg" for i in range(4)]
    write_photos(root, names)
    make_lists(root, names)


def make_scenes(root):
    names = [f"images/scene{i}/{i}.jpg" for i in range(4)]
    write_photos(root, names)
    make_lists(root, names)


def make_lists(root, names):
    lines = [f"{name} {i}\n" for i, name in enumerate(names)]
    (root / "meta").mkdir()
    for split in ("train", "val"):
        (root / "meta" / f"{split}.txt").write_text("".join(lines))


def make_places(root):
    names = [f"train/place{i}/{i}.jpg" for i in range(4)]
    write_photos(root, names)
    make_lists(root, names)


def make_ava(root):
    ids = range(40)
    write_images(root / "images", [f"{i}.jpg" for i in ids])
    lines = [f"{i} {i} 0 1 2 3 4 5 4 3 2 1 0 0 0" for i in ids]
    (root / "AVA.txt").write_text("\n".join(lines))


def make_images_to_degrade(train):
    make_class_folders(train.parent, ("daisy", "iris"))


def make_coco(root):
    """All 80 classes by name."""
    from mmdet.datasets import CocoDataset

    splits = {split: root / split for split in ("train2017", "val2017")}
    make_boxes(root, CocoDataset.METAINFO["classes"], splits)


def make_boards(root):
    make_boxes(root, DEFECTS, {"train": root, "val": root})


def make_boxes(root, classes, splits):
    """Images with a square of each of the first two classes."""
    categories = [{"id": i, "name": name} for i, name in enumerate(classes, 1)]
    (root / "annotations").mkdir(parents=True)
    for split, folder in splits.items():
        names = [f"{i}.jpg" for i in range(4)]
        write_images(folder, names)
        images, annotations = [], []
        for i, name in enumerate(names):
            images.append({"id": i, "file_name": name, "height": 40, "width": 60})
            for x, category in ((4, 1), (34, 2)):
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": i,
                        "category_id": category,
                        "bbox": [x, 8, 22, 22],
                        "area": 484,
                        "iscrowd": 0,
                        "segmentation": [[x, 8, x + 22, 8, x + 22, 30, x, 30]],
                    }
                )
        content = dict(images=images, annotations=annotations, categories=categories)
        file = root / "annotations" / f"instances_{split}.json"
        file.write_text(json.dumps(content))


def make_segments(root, classes, places, suffixes=("", "")):
    """Images and label maps of the first classes, with pixels that have none.

    Args:
        root (Path): Folder of the data set.
        classes (Iterable[int]): Values of label maps.
        places (Iterable[tuple[str, str]]): Folder of the images, and of the maps.
        suffixes (tuple[str, str]): What their names end with, before the type.
    """
    rng = np.random.default_rng(0)
    for images, maps in places:
        (root / maps).mkdir(parents=True, exist_ok=True)
        for i in range(4):
            write_images(root, [f"{images}/{i}{suffixes[0]}"])
            blocks = rng.choice([*classes, 255], (4, 6)).astype(np.uint8)
            labels = blocks.repeat(10, 0).repeat(10, 1)
            assert cv2.imwrite(str(root / maps / f"{i}{suffixes[1]}"), labels)


def make_cityscapes(root):
    places = [
        (f"leftImg8bit/{split}/ulm", f"gtFine/{split}/ulm")
        for split in ("train", "val")
    ]
    suffixes = "_leftImg8bit.png", "_gtFine_labelTrainIds.png"
    make_segments(root, range(19), places, suffixes)


def make_ade(root):
    """Its label 0 is none of the 150 classes."""
    places = [
        (f"images/{split}", f"annotations/{split}")
        for split in ("training", "validation")
    ]
    make_segments(root, range(151), places, (".jpg", ".png"))


def make_tiles(root):
    places = [(f"img_dir/{split}", f"ann_dir/{split}") for split in ("train", "val")]
    make_segments(root, range(6), places, (".jpg", ".png"))


FLOWERS = sorted(
    {
        line.split("/")[1]
        for line in (files("mmresizer.datasets.preparation") / "lists/flowers12.txt")
        .read_text()
        .split()
    }
)

FAMILIES = {
    "resizerx2_inception-v2_8xb32_in1k_224px": make_imagenet,
    "resizerx2_mobilenet-v2_8xb32-ft_in1k_224px": make_imagenet,
    "resizerx2_resnet50_1xb32_imagenette_224px": lambda root: make_class_folders(
        root, Imagenette.WNIDS
    ),
    "resizerx2_resnet50_1xb32_imagewoof_224px": lambda root: make_class_folders(
        root, Imagewoof.WNIDS
    ),
    "resizerx2_densenet121_1xb64_cats-dogs_150px": make_cats_dogs,
    "resizerx2_densenet121_1xb64-90pct_cats-dogs_150px": make_cats_dogs,
    "resizerx2_densenet121_1xb64_cats-dogs-subset_150px": lambda root: (
        make_class_folders(root, ("cats", "dogs"))
    ),
    "resizerx2_resnet50_1xb8_cub_448px": make_cub,
    "resizerx4_resnet18_1xb32_flowers12_56px": lambda root: make_class_folders(
        root, FLOWERS
    ),
    "resizerx4_resnet18-cifar-w16_1xb32_fine-textures_24px": lambda root: None,
    "resizerx2_densenet121_8xb32-ft_ava_224px": make_ava,
    "resizerx2_efficientnet-b0_8xb32-ft-aspect_ava_224px": make_ava,
    "resizerx4_resnet18-cifar-w16_1xb32_degraded-flowers12_56px": (
        make_images_to_degrade
    ),
    "resizerx4_resnet18-cifar-w16_1xb32_degraded-textures_24px": lambda root: None,
    "resizerx4_resnet18-cifar-w16_1xb32-aspect_degraded-cats-dogs_80px": (
        make_images_to_degrade
    ),
    "resizer-aax8_resnet18-cifar_1xb256_deep-pcb-patches_12px": lambda root: (
        make_class_folders(root, DEFECTS)
    ),
    "resizer-aax8_resnet14-cifar_1xb256_neu-steel_25px": make_steel,
    "resizer-aax8_resnet18-cifar_1xb256_playing-cards_28px": make_playing_cards,
    "resizer-aax16_resnet14-cifar_1xb256_rsscn7_25px": make_scenes,
    "resizer-aax16.67_resnet14-cifar_1xb64_scene-15_12px": make_places,
    "resizer-aax4_efficientnet-lite0_1xb64_cub-100_56px": make_cub_100,
}
# Configs that train at another input, by the line on the page of their family.
OTHER_INPUTS = {
    "resizerx2_mobilenet-v2_8xb32-ft_in1k_224px": 368,
    "resizerx2_densenet121_8xb32-ft_ava_224px": 320,
}
# One that trains with the recipe for trained backbones, as its page shows it; it
# takes longest.
RECIPE = "resizerx2_resnet50_1xb8_cub_448px"


# Backbones and necks of a tenth of the weights, on images of a tenth of the size.
RESNET18 = {"backbone": {"depth": 18, "base_channels": 16}}
FPN = RESNET18 | {"neck": {"in_channels": [16, 32, 64, 128]}}
BOXES = {"roi_head": {"bbox_head": {"fc_out_channels": 32}}}
DETECTORS = {
    "bilinearx2_faster-rcnn-r50-fpn_8xb2_coco_800px": (make_coco, FPN | BOXES),
    "resizerx1.5_faster-rcnn-r50-fpn_8xb2_coco_800px": (make_coco, FPN | BOXES),
    "resizerx2_mask-rcnn-r50-fpn_8xb2_coco_800px": (make_coco, FPN | BOXES),
    "resizerx2_retinanet-r50-fpn_8xb2_coco_800px": (make_coco, FPN),
    "resizerx2_rtmdet-s_8xb32_coco_640px": (make_coco, {}),
    "resizerx2_dino-4scale-r50_8xb2_coco_800px": (
        make_coco,
        RESNET18 | {"neck": {"in_channels": [32, 64, 128]}, "num_queries": 9},
    ),
    "resizer-aax4_faster-rcnn-r18w16-fpn_1xb8_deep-pcb_160px": (
        make_boards,
        {"data_preprocessor": {"pad_size_divisor": 8}},
    ),
}


# Likewise; SegFormer-B0 and the U-Net are small.
FCN = RESNET18 | {
    "decode_head": {"in_channels": 128, "channels": 32},
    "auxiliary_head": {"in_channels": 64, "channels": 16},
}
DEEPLAB = FCN | {
    "decode_head": {
        "in_channels": 128,
        "channels": 32,
        "c1_in_channels": 16,
        "c1_channels": 8,
    }
}
MASK2FORMER = RESNET18 | {
    "decode_head": {"in_channels": [16, 32, 64, 128], "num_queries": 9}
}
SEGMENTORS = {
    "resizerx2_fcn-r50-d8_4xb2_cityscapes_512px": (make_cityscapes, FCN),
    "resizerx2_deeplabv3plus-r50-d8_4xb2_cityscapes_512px": (make_cityscapes, DEEPLAB),
    "resizerx2_segformer-mit-b0_8xb1_cityscapes_512px": (make_cityscapes, {}),
    "resizerx2_mask2former-r50_8xb2_cityscapes_512px": (make_cityscapes, MASK2FORMER),
    "bilinearx2_fcn-r50-d8_4xb4_ade20k_512px": (make_ade, FCN),
    "resizerx2_fcn-r50-d8_4xb4_ade20k_512px": (make_ade, FCN),
    "resizerx2_deeplabv3plus-r50-d8_4xb4_ade20k_512px": (make_ade, DEEPLAB),
    "resizerx2_segformer-mit-b0_8xb2_ade20k_512px": (make_ade, {}),
    "resizerx2_mask2former-r50_8xb2_ade20k_512px": (make_ade, MASK2FORMER),
    "resizer-aax4_unet-s4-w16_1xb8_magnetic-tiles_64px": (make_tiles, {}),
}


def test_every_family_is_here():
    folders = {path.name for path in CONFIGS.glob("[!_]*") if path.is_dir()}
    folders.remove("textured_shapes")  # tests/tools/test_{detect,segment}ation.py
    names = [*FAMILIES, *DETECTORS, *SEGMENTORS]
    assert {find(name).parent.name for name in names} == folders


def params(names):
    """The first config for each family and backbone, and the others under `zoo`."""
    seen = set()
    for name in names:
        key = find(name).parent.name, NAME.fullmatch(name)["backbone"]
        marks = [pytest.mark.zoo] * (key in seen)
        marks += [pytest.mark.slow] * (name == RECIPE)
        marks += [pytest.mark.detection] * ("mask2former" in name)
        yield pytest.param(name, marks=marks)
        seen.add(key)


@pytest.mark.parametrize("name", params(FAMILIES))
def test_two_iterations(name, tmp_path, monkeypatch):
    """From the folder that the config names, with its pipelines and its recipe."""
    monkeypatch.chdir(tmp_path)
    cfg = Config.fromfile(find(name))
    if name in OTHER_INPUTS:
        command = read_commands(find(name).parent.name)[0]
        cfg = load_at(command, OTHER_INPUTS[name], find(name))
    if name == RECIPE:
        cfg = load_recipe(find(name), tmp_path)
    dataset = cfg.train_dataloader.dataset
    if "data_root" in dataset:
        FAMILIES[name](tmp_path / dataset.data_root)
    changes = {
        "train_cfg.max_epochs": 1,
        "load_from": None,
        "launcher": "none",
        "work_dir": str(tmp_path / "work_dir"),
    }
    for loader in ("train_dataloader", "val_dataloader"):
        changes |= {f"{loader}.batch_size": 2, f"{loader}.num_workers": 0}
    changes |= {
        "train_dataloader.dataset.indices": 4,
        "val_dataloader.dataset.indices": 2,
    }
    cfg.merge_from_dict(changes)
    cfg.model.get("backbone", cfg.model).pop("init_cfg", None)  # published weights
    train_model(cfg)
    saved = torch.load(
        tmp_path / "work_dir" / "epoch_1.pth", map_location="cpu", weights_only=False
    )
    assert saved["meta"]["iter"] == 2
    # It starts at zero.
    bias = saved["state_dict"]["resizer.out.bias"]
    assert bias.isfinite().all()
    assert bias.any()


def shrink(steps):
    """Divides all sizes of a pipeline by ten, in place."""
    for step in steps:
        if isinstance(step, list):
            shrink(step)
            continue
        shrink(step.get("transforms", []))
        for key in step.keys() & {"scale", "scales", "crop_size", "size", "max_size"}:
            step[key] = divide(step[key])


def divide(sizes):
    return sizes // 10 if isinstance(sizes, int) else type(sizes)(map(divide, sizes))


@pytest.mark.detection
@pytest.mark.parametrize("name", params(DETECTORS))
def test_detector(name, tmp_path, monkeypatch):
    """By its pipelines and its recipe, two iterations and a validation."""
    monkeypatch.chdir(tmp_path)
    make, model = DETECTORS[name]
    cfg = Config.fromfile(find(name))
    make(tmp_path / cfg.train_dataloader.dataset.data_root)
    cfg.merge_from_dict(
        {
            "model": model,
            "train_cfg.max_epochs": 1,
            "load_from": None,
            "launcher": "none",
            "work_dir": str(tmp_path / "work_dir"),
        }
    )
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.update(batch_size=2, num_workers=0, persistent_workers=False)
        shrink(loader.dataset.pipeline)
    train_model(cfg)
    saved = torch.load(
        tmp_path / "work_dir" / "epoch_1.pth", map_location="cpu", weights_only=False
    )
    assert saved["meta"]["iter"] == 2
    weights = saved["state_dict"]
    assert all(value.isfinite().all() for value in weights.values())
    # The learned ones start at zero.
    assert name.startswith("bilinear") or weights["resizer.out.bias"].any()


@pytest.mark.parametrize("name", params(SEGMENTORS))
def test_segmentor(name, tmp_path, monkeypatch):
    """By its pipelines and its recipe, two iterations, a validation, a prediction."""
    # They need MMSegmentation, which other tests of this file do not.
    from mmseg.apis import inference_model, init_model

    monkeypatch.chdir(tmp_path)
    make, model = SEGMENTORS[name]
    cfg = Config.fromfile(find(name))
    make(tmp_path / cfg.train_dataloader.dataset.data_root)
    by_epoch = cfg.train_cfg.type == "EpochBasedTrainLoop"
    cfg.merge_from_dict(
        {
            "model": model,
            "train_cfg": {"max_epochs": 1} if by_epoch else {"max_iters": 2},
            "train_cfg.val_interval": 1 if by_epoch else 2,
            "load_from": None,
            "launcher": "none",
            "work_dir": str(tmp_path / "work_dir"),
        }
    )
    if not by_epoch:
        size = cfg.model.data_preprocessor.size
        cfg.model.data_preprocessor.size = tuple(side // 10 for side in size)
        shrink(cfg.test_pipeline)
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.update(batch_size=2, num_workers=0, persistent_workers=False)
        if not by_epoch:
            shrink(loader.dataset.pipeline)
    cfg.val_dataloader.batch_size = 1
    train_model(cfg)
    (file,) = (tmp_path / "work_dir").glob("*_[0-9].pth")
    saved = torch.load(file, map_location="cpu", weights_only=False)
    assert saved["meta"]["iter"] == 2
    weights = saved["state_dict"]
    assert all(value.isfinite().all() for value in weights.values())
    # The learned ones start at zero.
    assert name.startswith("bilinear") or weights["resizer.out.bias"].any()

    image = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    predicted = inference_model(init_model(cfg, str(file), "cpu"), image).pred_sem_seg
    assert predicted.data.shape == (1, 40, 60)
