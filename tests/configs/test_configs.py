"""Walks every config: it parses, is named by the grammar, builds, has a baseline."""

import re
from collections import Counter, defaultdict
from copy import deepcopy
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import yaml
from config_names import NAME, load_recipe, pick_representatives
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.registry import DefaultScope
from modelindex.load_model_index import load

from mmresizer.analysis.costs import input_size, pipeline_size
from mmresizer.comparison.overview import render_comparison_pages
from mmresizer.config.building import build_model
from mmresizer.config.loading import load_config
from mmresizer.hub.metafiles import get_facts, list_configs
from mmresizer.hub.pages import render_zoo_pages
from mmresizer.registry import MODELS

ROOT = Path(__file__).parents[2]
CONFIGS = list_configs(ROOT)
REPRESENTATIVES = pick_representatives(CONFIGS)
# In a name; "-aa" and the factor follow.
KIND = r"^[a-z]+?(?=(-aa)?x\d)"
TYPES = {
    "resizer": ("mmresizer.LearnedResizer", "bilinear", False),
    "resizer-aa": ("mmresizer.LearnedResizer", "bilinear", True),
    "bilinear": ("mmresizer.InterpolationResizer", "bilinear", False),
    "bilinear-aa": ("mmresizer.InterpolationResizer", "bilinear", True),
    "bicubic": ("mmresizer.InterpolationResizer", "bicubic", False),
}
# Backbone in the name -> its type and what tells it from others of the type.
BACKBONES = {
    "densenet121": ("DenseNet", {"arch": "121"}),
    "efficientnet-b0": ("EfficientNet", {"arch": "b0"}),
    "efficientnet-lite0": (
        "mmresizer.ResizerTimmClassifier",
        {"model_name": "tf_efficientnet_lite0", "pretrained": False},
    ),
    "inception-v2": ("mmresizer.InceptionV2", {}),
    "mobilenet-v2": ("MobileNetV2", {"widen_factor": 1.0}),
    "resnet14-cifar": ("ResNet_CIFAR", {"depth": 18, "num_stages": 3}),
    "resnet18": ("ResNet", {"depth": 18}),
    "resnet18-cifar": ("ResNet_CIFAR", {"depth": 18}),
    "resnet18-cifar-w16": ("ResNet_CIFAR", {"depth": 18, "base_channels": 16}),
    "resnet50": ("ResNet", {"depth": 50}),
    "swin-base": ("SwinTransformer", {"arch": "base", "img_size": 384}),
    "swin-large": ("SwinTransformer", {"arch": "large", "img_size": 384}),
}
# Detector and backbone in the name -> type of the detector and config of the backbone.
DETECTORS = {
    "dino-4scale-r50": ("DINO", "ResNet", {"depth": 50}),
    "faster-rcnn-r18w16-fpn": (
        "FasterRCNN",
        "ResNet",
        {"depth": 18, "base_channels": 16},
    ),
    "faster-rcnn-r50-fpn": ("FasterRCNN", "ResNet", {"depth": 50}),
    "mask-rcnn-r50-fpn": ("MaskRCNN", "ResNet", {"depth": 50}),
    "retinanet-r50-fpn": ("RetinaNet", "ResNet", {"depth": 50}),
    "rtmdet-s": ("RTMDet", "CSPNeXt", {"deepen_factor": 0.33, "widen_factor": 0.5}),
}
# Segmentor and backbone in the name -> types of the head and of the backbone, and
# config of the backbone.
SEGMENTORS = {
    "deeplabv3plus-r50-d8": (
        "DepthwiseSeparableASPPHead",
        "ResNetV1c",
        {"depth": 50, "dilations": (1, 1, 2, 4)},
    ),
    "fcn-r50-d8": ("FCNHead", "ResNetV1c", {"depth": 50, "dilations": (1, 1, 2, 4)}),
    "mask2former-r50": ("Mask2FormerHead", "ResNet", {"depth": 50}),
    "segformer-mit-b0": ("SegformerHead", "MixVisionTransformer", {"embed_dims": 32}),
    "unet-s4-w16": ("FCNHead", "UNet", {"num_stages": 4, "base_channels": 16}),
}
# Dataset in the name -> its type and number of classes, None for scores.
DATASETS = {
    "ade20k": ("ADE20KDataset", 150),
    "ava": ("mmresizer.AVA", None),
    "cats-dogs": ("CustomDataset", 2),
    "cats-dogs-subset": ("CustomDataset", 2),
    "cityscapes": ("CityscapesDataset", 19),
    "coco": ("CocoDataset", 80),
    "cub": ("CUB", 200),
    "cub-100": ("mmresizer.InMemoryImages", 100),
    "deep-pcb": ("CocoDataset", 6),
    "deep-pcb-patches": ("mmresizer.InMemoryImages", 6),
    "degraded-cats-dogs": ("mmresizer.DegradedImages", None),
    "degraded-flowers12": ("mmresizer.DegradedImages", None),
    "degraded-textures": ("mmresizer.DegradedTextures", None),
    "fine-textures": ("mmresizer.FineTextures", 8),
    "flowers12": ("CustomDataset", 12),
    "imagenette": ("mmresizer.Imagenette", 10),
    "imagewoof": ("mmresizer.Imagewoof", 10),
    "in1k": ("ImageNet", 1000),
    "magnetic-tiles": ("BaseSegDataset", 6),
    "neu-steel": ("mmresizer.InMemoryImages", 6),
    "playing-cards": ("mmresizer.InMemoryImages", 53),
    "rsscn7": ("mmresizer.InMemoryImages", 7),
    "scene-15": ("mmresizer.InMemoryImages", 15),
    "textured-shapes": ("mmresizer.TexturedShapes", 4),
    "textured-shapes-masks": ("mmresizer.TexturedShapesMasks", 5),
}
METADATA = {
    model["Name"]: model["Metadata"]
    for file in sorted((ROOT / "configs").glob("*/metafile.yml"))
    for model in yaml.safe_load(file.read_text())["Models"]
}
COSTS: dict = {}


@cache
def load_once(path):
    """Reading a config takes a second; nobody may change what this returns."""
    return load_config(str(path))


def find_library(path):
    return METADATA.get(path.stem, {}).get("Library", "MMPretrain")


def is_detector(path):
    return find_library(path) == "MMDetection"


def is_segmentor(path):
    return find_library(path) == "MMSegmentation"


def needs_mmdet(path):
    """Without mmdet such a config cannot be read; the metafile says it."""
    facts = METADATA.get(path.stem, {})
    return "MMDetection" in (facts.get("Library"), facts.get("Requires"))


def params(paths):
    """One config for each family and backbone, and the others under `zoo`."""
    return [
        pytest.param(
            path,
            id=path.stem,
            marks=[pytest.mark.detection] * needs_mmdet(path)
            + [pytest.mark.zoo] * (path not in REPRESENTATIVES),
        )
        for path in paths
    ]


@pytest.fixture(params=params(CONFIGS))
def path(request):
    return request.param


def test_finds_the_configs():
    assert len(CONFIGS) >= 160
    assert len({path.stem for path in CONFIGS}) == len(CONFIGS)


def test_finds_the_representatives():
    """Learned ones of all backbones of a family; Swin-L on birds is one of them."""
    assert all(path.name.startswith("resizer") for path in REPRESENTATIVES)
    names = {path.stem for path in REPRESENTATIVES}
    assert "resizerx2_swin-large_1xb8_cub_384px" in names
    counts = Counter(path.parent.name for path in REPRESENTATIVES)
    assert counts == {
        "ade20k": 4,
        "ava": 3,
        "cats_dogs": 4,
        "cityscapes": 4,
        "coco": 5,
        "cub": 3,
        "cub_100": 1,
        "deep_pcb": 3,
        "degraded": 1,
        "fine_textures": 1,
        "flowers": 3,
        "imagenet": 4,
        "imagenette": 1,
        "magnetic_tiles": 1,
        "neu": 1,
        "playing_cards": 1,
        "rsscn7": 1,
        "scene_15": 1,
        "textured_shapes": 2,
    }


def test_finds_what_needs_mmdet():
    """Of segmentors only Mask2Former."""
    segmentors = [path for path in CONFIGS if is_segmentor(path)]
    assert len(segmentors) == 8 + 8 + 4 + 4
    assert [path for path in segmentors if needs_mmdet(path)] == [
        path for path in segmentors if "mask2former" in path.name
    ]


CLASSIFIERS = [
    path for path in CONFIGS if not is_detector(path) and not is_segmentor(path)
]


@pytest.mark.parametrize("path", params(CLASSIFIERS))
def test_name(path):
    """What the name says is what the resolved config says."""
    name = NAME.fullmatch(path.stem)
    assert name, path.stem
    cfg = load_once(path)
    resizer = cfg.model.resizer
    kind, interpolation, antialias = TYPES[name["resizer"]]
    assert resizer.type == kind
    assert resizer.get("interpolation", "bilinear") == interpolation
    assert resizer.get("antialias", False) == antialias
    size = input_size(cfg)
    aspect = "-aspect" in (name["setting"] or "")
    assert (resizer.get("output_size") is None) == aspect
    output = resizer.scale_factor * size[0] if aspect else resizer.output_size
    assert output == int(name["output"])
    assert float(name["factor"]) == round(size[0] / output, 2)

    backbone, arguments = BACKBONES[name["backbone"]]
    model = cfg.model.get("backbone", cfg.model)  # wrappers of timm have no parts
    assert model.type == backbone
    assert {key: model[key] for key in arguments} == arguments

    dataset, num_classes = DATASETS[name["dataset"]]
    head = cfg.model.get("head", cfg.model)
    if num_classes is None:
        assert head.type == "mmresizer.IQAHead"
        assert cfg.test_evaluator.type == "mmresizer.IQAMetric"
    else:
        assert head.num_classes == num_classes
        assert cfg.data_preprocessor.num_classes == num_classes
    batch = int(name["gpus"]) * int(name["batch"])
    assert cfg.auto_scale_lr.base_batch_size == batch
    assert cfg.train_dataloader.batch_size == int(name["batch"])
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        assert loader.dataset.type == dataset
        assert pipeline_size(loader.dataset.pipeline, size) == size
        sampler = loader.get("batch_sampler", {}).get("type")
        assert sampler == ("mmresizer.SameShapeBatchSampler" if aspect else None)


def check_dense(path, scope, kind):
    """Checks what detectors and segmentors share.

    Returns:
        tuple: The config, the backbone's name, the number of classes, and the input.
    """
    name = NAME.fullmatch(path.stem)
    assert name, path.stem
    cfg = load_once(path)
    assert cfg.default_scope == scope
    assert "mmresizer" in cfg.custom_imports.imports
    model = cfg.model
    assert model.type == kind
    resizer, interpolation, antialias = TYPES[name["resizer"]]
    assert model.resizer.type == resizer
    assert model.resizer.get("interpolation", "bilinear") == interpolation
    assert model.resizer.get("antialias", False) == antialias
    size = input_size(cfg)
    output = MODELS.build(model.resizer).get_output_size(size)
    assert min(output) == int(name["output"])
    assert float(name["factor"]) == round(min(size) / min(output), 2)
    batch = int(name["gpus"]) * int(name["batch"])
    assert cfg.auto_scale_lr.base_batch_size == batch
    assert cfg.train_dataloader.batch_size == int(name["batch"])
    dataset, num_classes = DATASETS[name["dataset"]]
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        assert loader.dataset.type == dataset
    return cfg, name["backbone"], num_classes, size


@pytest.mark.detection
@pytest.mark.parametrize("path", params(p for p in CONFIGS if is_detector(p)))
def test_name_of_detector(path):
    """Of detectors the output is the short side of what they were built for."""
    cfg, name, num_classes, _ = check_dense(path, "mmdet", "mmresizer.ResizerDetector")
    model = cfg.model
    detector, backbone, arguments = DETECTORS[name]
    assert (model.detector, model.backbone.type) == (detector, backbone)
    assert {key: model.backbone[key] for key in arguments} == arguments
    head = model.get("bbox_head") or model.roi_head.bbox_head
    assert head.num_classes == num_classes


@pytest.mark.parametrize("path", params(p for p in CONFIGS if is_segmentor(p)))
def test_name_of_segmentor(path):
    """Of segmentors the output is the short side of a crop behind the resizer."""
    cfg, name, num_classes, size = check_dense(
        path, "mmseg", "mmresizer.ResizerSegmentor"
    )
    model = cfg.model
    # Crops become batches as they are; without a size images are only stacked.
    assert model.data_preprocessor.get("size") in (None, size)
    head, backbone, arguments = SEGMENTORS[name]
    assert model.segmentor == "EncoderDecoder"
    assert (model.decode_head.type, model.backbone.type) == (head, backbone)
    assert {key: model.backbone[key] for key in arguments} == arguments
    for part in (model.decode_head, model.get("auxiliary_head")):
        assert part is None or part.num_classes == num_classes


def test_baseline(path):
    """Each learned config has its baseline, and they differ in the resizer alone.

    Interpolation is bilinear, and bicubic before models of quality, as in the paper.
    """
    # Rounding changes nothing else, and needs no baseline of its own.
    plain = path.with_name(path.name.replace("-8bit", ""))
    baseline = plain.with_name(re.sub(KIND, "bilinear", plain.name))
    if not baseline.exists():
        baseline = plain.with_name(re.sub(KIND, "bicubic", plain.name))
    configs = [load_once(p).to_dict() for p in (path, baseline)]
    resizers = [cfg["model"].pop("resizer") for cfg in configs]
    assert configs[0] == configs[1]
    assert (resizers[0].pop("output_range", None) is None) == (path == plain)
    for key in ("output_size", "scale_factor"):
        assert resizers[0].pop(key, None) == resizers[1].pop(key, None)
    assert (resizers[0] == resizers[1]) == (path == baseline)


def test_builds(path):
    """Builds the model without weights, and counts what the metafile says of it."""
    facts = get_facts(load_once(path), path.stem, COSTS)
    listed = METADATA[path.stem]
    assert facts == {key: listed[key] for key in facts}


def test_paper_baseline_has_no_resizing_to_do():
    cfg = load_once(ROOT / "configs/imagenet/bilinearx1_resnet50_8xb32_in1k_224px.py")
    assert input_size(cfg) == (224, 224)


def test_resolution_is_set_in_one_place():
    """The four backbones and both recipes share a file for each input size."""
    files = defaultdict(set)
    for path in (ROOT / "configs/imagenet").glob("bilinear*.py"):
        factor = NAME.fullmatch(path.stem)["factor"]
        files[factor] |= set(re.findall(r"datasets/(\w+)\.py", path.read_text()))
    assert files == {"1": {"in1k_224"}, "2": {"in1k_448"}}


CUB = sorted((ROOT / "configs/cub").glob("resizer*.py"))


@pytest.mark.parametrize("path", params(CUB))
def test_recipe_on_the_page_of_cub(path, tmp_path):
    """It is the plain config, but for the resizer's start, norms and steps."""
    cfg = load_recipe(path, tmp_path).to_dict()
    (hook,) = cfg.pop("custom_hooks")
    assert hook.pop("_scope_") == "mmresizer"
    assert hook == dict(type="mmresizer.ResizerOptimizerHook", lr=3e-4)
    resizer = cfg["model"]["resizer"]
    assert (resizer.pop("zero_init"), resizer.pop("norm_cfg")) == (True, None)
    assert drop_scopes(cfg) == drop_scopes(load_once(path).to_dict())


def drop_scopes(settings):
    """Drops what names of other packages' configs leave in those they are bases of."""
    if isinstance(settings, dict):
        return {k: drop_scopes(v) for k, v in settings.items() if k != "_scope_"}
    if isinstance(settings, list):
        return [*map(drop_scopes, settings)]
    return settings


COCO = [path for path in CONFIGS if path.parent.name == "coco"]
# What they start from, in MMDetection.
PLAIN = {
    "dino-4scale-r50": "dino/dino-4scale_r50_8xb2-12e_coco",
    "faster-rcnn-r50-fpn": "faster_rcnn/faster-rcnn_r50_fpn_1x_coco",
    "mask-rcnn-r50-fpn": "mask_rcnn/mask-rcnn_r50_fpn_1x_coco",
    "retinanet-r50-fpn": "retinanet/retinanet_r50_fpn_1x_coco",
    "rtmdet-s": "rtmdet/rtmdet_s_8xb32-300e_coco",
}


@cache
def load_plain(name):
    """Returns MMDetection's config of a detector, and the address of its weights."""
    folder, _, stem = PLAIN[name].partition("/")
    root = Path(find_spec("mmdet").origin).parent / ".mim/configs"
    models = yaml.safe_load((root / folder / "metafile.yml").read_text())["Models"]
    (weights,) = [model["Weights"] for model in models if model["Name"] == stem]
    return get_config(f"mmdet::{PLAIN[name]}.py"), weights


def find_sizes(pipeline):
    """Yields the numbers of pixels in a pipeline, in order."""
    for step in pipeline:
        if isinstance(step, list):
            yield from find_sizes(step)
            continue
        yield from find_sizes(step.get("transforms", []))
        for key in ("scale", "scales", "crop_size", "size"):
            yield from np.ravel(step.get(key, []))


def test_finds_configs_of_coco():
    assert len(COCO) == 4 * len(PLAIN)


@pytest.mark.detection
@pytest.mark.parametrize("path", params(COCO))
def test_coco_is_mmdetections(path):
    """Its detector and weights, its pipelines at the factor, a tenth of its rate."""
    name = NAME.fullmatch(path.stem)
    factor = float(name["factor"])
    cfg = load_once(path)
    plain, weights = load_plain(name["backbone"])
    assert cfg.load_from == weights
    model, expected = cfg.model.to_dict(), plain.model.to_dict()
    resizer, divisor = model.pop("resizer"), model.pop("size_divisor")
    assert resizer["scale_factor"] == pytest.approx(1 / factor)
    del model["type"], model["_scope_"]
    assert model.pop("detector") == expected.pop("type")
    assert model["backbone"].pop("init_cfg") is None
    del expected["backbone"]["init_cfg"]
    # Padded batches are whole pixels for the detector, in its own multiple.
    padding = model["data_preprocessor"].pop("pad_size_divisor", None)
    own = expected["data_preprocessor"].pop("pad_size_divisor", None)
    if own:
        assert padding / factor % own == 0
    assert divisor == (own or 32)
    assert model == expected

    rtmdet = name["backbone"] == "rtmdet-s"
    train = plain.train_pipeline_stage2 if rtmdet else plain.train_pipeline
    pipelines = [
        (cfg.train_dataloader.dataset.pipeline, train),
        (cfg.val_dataloader.dataset.pipeline, plain.test_pipeline),
        (cfg.test_dataloader.dataset.pipeline, plain.test_pipeline),
    ]
    if rtmdet:
        pipelines.append((cfg.tta_pipeline, plain.tta_pipeline))
    for ours, theirs in pipelines:
        sizes = [factor * size for size in find_sizes(theirs)]
        assert sizes
        assert list(find_sizes(ours)) == pytest.approx(sizes, abs=0.5)

    ours, theirs = cfg.optim_wrapper.to_dict(), plain.optim_wrapper.to_dict()
    ours.pop("_scope_", None)
    rates = [wrapper["optimizer"].pop("lr") for wrapper in (ours, theirs)]
    assert rates[0] == pytest.approx(rates[1] / 10)
    assert ours == theirs
    assert cfg.train_cfg.max_epochs == 6
    assert cfg.param_scheduler == load_once(COCO[0]).param_scheduler
    assert cfg.custom_hooks[-1] == dict(type="mmresizer.ResizerOptimizerHook", lr=3e-4)


SCENES = [path for path in CONFIGS if path.parent.name in ("ade20k", "cityscapes")]
# What they start from, in MMSegmentation.
PLAIN_SEGMENTORS = {
    "ade20k": {
        "deeplabv3plus-r50-d8": (
            "deeplabv3plus/deeplabv3plus_r50-d8_4xb4-160k_ade20k-512x512"
        ),
        "fcn-r50-d8": "fcn/fcn_r50-d8_4xb4-160k_ade20k-512x512",
        "mask2former-r50": "mask2former/mask2former_r50_8xb2-160k_ade20k-512x512",
        "segformer-mit-b0": "segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512",
    },
    "cityscapes": {
        "deeplabv3plus-r50-d8": (
            "deeplabv3plus/deeplabv3plus_r50-d8_4xb2-80k_cityscapes-512x1024"
        ),
        "fcn-r50-d8": "fcn/fcn_r50-d8_4xb2-80k_cityscapes-512x1024",
        "mask2former-r50": "mask2former/mask2former_r50_8xb2-90k_cityscapes-512x1024",
        "segformer-mit-b0": "segformer/segformer_mit-b0_8xb1-160k_cityscapes-1024x1024",
    },
}
# Of Cityscapes the images keep their size, which is that of the crops.
DOUBLED = {
    "ade20k": ("scale", "scales", "max_size", "crop_size", "scale_factor"),
    "cityscapes": ("crop_size",),
}


def name_plain_segmentor(path):
    name = NAME.fullmatch(path.stem)
    return PLAIN_SEGMENTORS[name["dataset"]][name["backbone"]]


def find_published(path):
    """Returns what MMSegmentation's metafile says of the plain segmentor."""
    folder, _, stem = name_plain_segmentor(path).partition("/")
    root = Path(find_spec("mmseg").origin).parent / ".mim/configs"
    models = yaml.safe_load((root / folder / "metafile.yaml").read_text())["Models"]
    (entry,) = [model for model in models if model["Name"] == stem]
    return entry


@cache
def load_plain_segmentor(path):
    """Returns MMSegmentation's config of a segmentor; nobody may change it.

    SegFormer for Cityscapes is of squares and slides over images. Here it is changed to
    what the others are: of MMSegmentation's usual crops, and tested on whole images.
    """
    plain = name_plain_segmentor(path)
    cfg = get_config(f"mmseg::{plain}.py")
    if plain.endswith("1024x1024"):
        assert cfg.model.test_cfg.mode == "slide"
        cfg.model.test_cfg = dict(mode="whole")
        cfg.model.data_preprocessor.size = (512, 1024)
        cfg.train_dataloader.dataset.pipeline[3].crop_size = (512, 1024)
    return cfg


def double(steps, keys):
    """Returns a pipeline with the numbers below some keys doubled."""
    if isinstance(steps, list):
        return [double(step, keys) for step in steps]
    return {
        key: double(value, keys)
        if key == "transforms"
        else (2 * np.array(value)).tolist()
        if key in keys
        else value
        for key, value in steps.items()
    }


def test_finds_configs_of_scenes():
    assert len(SCENES) == 2 * sum(map(len, PLAIN_SEGMENTORS.values()))


@pytest.mark.parametrize("path", params(SCENES))
def test_scenes_are_mmsegmentations(path):
    """Its segmentor and weights, its pipelines at the factor, a tenth of its rate."""
    cfg = load_once(path)
    plain = load_plain_segmentor(path)
    assert cfg.load_from == find_published(path)["Weights"]
    model, expected = (drop_scopes(c.model.to_dict()) for c in (cfg, plain))
    assert model.pop("resizer")["scale_factor"] == 1 / 2
    assert model.pop("type") == "mmresizer.ResizerSegmentor"
    assert model.pop("segmentor") == expected.pop("type")
    # All weights are the segmentor's.
    for settings in (model, expected):
        weights = settings.pop("pretrained", None)
        init = settings["backbone"].pop("init_cfg", None)
        assert ((weights or init) is None) == (settings is model)
    # Padded batches are whole pixels for the segmentor, in its own multiple.
    for key, value in expected["data_preprocessor"].items():
        if key == "size":
            assert model["data_preprocessor"][key] == tuple(2 * n for n in value)
        elif key == "test_cfg":
            assert model["data_preprocessor"][key] == {
                "size_divisor": 2 * value["size_divisor"]
            }
        else:
            assert model["data_preprocessor"][key] == value
    del model["data_preprocessor"], expected["data_preprocessor"]
    assert model == expected
    assert model["test_cfg"] == {"mode": "whole"}

    keys = DOUBLED[path.parent.name]
    pipelines = [
        (cfg[f"{part}_dataloader"].dataset.pipeline, plain[f"{part}_dataloader"])
        for part in ("train", "val", "test")
    ]
    pipelines = [(ours, loader.dataset.pipeline) for ours, loader in pipelines]
    pipelines += [
        (cfg.tta_pipeline, plain.tta_pipeline),
        (cfg.test_pipeline, plain.test_pipeline),  # of `inference_model`
    ]
    for ours, theirs in pipelines:
        ours, theirs = (as_lists(pipeline) for pipeline in (ours, theirs))
        assert ours == as_lists(double(theirs, keys))
        assert (ours == theirs) == (not set(keys) & {*find_keys(theirs)})

    ours, theirs = (drop_scopes(c.optim_wrapper.to_dict()) for c in (cfg, plain))
    rates = [wrapper["optimizer"].pop("lr") for wrapper in (ours, theirs)]
    assert rates[0] == pytest.approx(rates[1] / 10)
    assert ours == theirs
    assert cfg.train_cfg.type == "IterBasedTrainLoop"
    assert cfg.train_cfg.max_iters == 20000
    ours, theirs = (as_lists(c.param_scheduler) for c in (cfg, plain))
    assert ours[-1].pop("end") == 20000
    assert theirs[-1].pop("end") == plain.train_cfg.max_iters
    lows = [schedule[-1].pop("eta_min") for schedule in (ours, theirs)]
    assert lows[0] == pytest.approx(lows[1] / 10)
    assert ours == theirs
    assert cfg.custom_hooks == [dict(type="mmresizer.ResizerOptimizerHook", lr=3e-4)]
    assert cfg.default_hooks.checkpoint.by_epoch is False


def as_lists(settings):
    """Returns settings without scopes, and with lists in place of tuples."""
    if isinstance(settings, dict):
        return {k: as_lists(v) for k, v in settings.items() if k != "_scope_"}
    if isinstance(settings, list | tuple):
        return [*map(as_lists, settings)]
    return settings


def find_keys(settings):
    """Yields all keys at any depth."""
    if isinstance(settings, list):
        for part in settings:
            yield from find_keys(part)
    elif isinstance(settings, dict):
        yield from settings
        yield from find_keys([*settings.values()])


@pytest.mark.parametrize(
    "path", params(p for p in SCENES if p.name.startswith("resizer"))
)
def test_plain_weights_fit(path):
    """Of a plain segmentor as MMSegmentation builds it, all but the resizer's."""
    from mmseg.registry import MODELS as SEGMENTORS_OF_MMSEG

    plain = load_plain_segmentor(path)
    with DefaultScope.overwrite_default_scope("mmseg"):
        weights = SEGMENTORS_OF_MMSEG.build(deepcopy(plain.model)).state_dict()
    model = build_model(load_once(path))
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert not unexpected
    assert {*missing} == {f"resizer.{name}" for name in model.resizer.state_dict()}


def test_pages_of_scenes_have_the_published_metrics():
    """With the name of the config that they are of."""
    for path in SCENES:
        page = path.with_name("README.md").read_text()
        entry = find_published(path)
        value = f"{entry['Results']['Metrics']['mIoU']:.2f}"
        row = rf"^\| [^|]+ \| {value} \| [^|]+ \| \[{entry['Name']}\]"
        assert re.search(row, page, re.M), row


FINETUNED = [
    path
    for path in CONFIGS
    if path.name.startswith("resizer")
    and (path.parent.name in ("ade20k", "cityscapes", "coco") or "lite0" in path.name)
]


def test_finds_finetuned_configs():
    assert len(FINETUNED) == 10 + 5 + 8


@pytest.mark.parametrize("path", params(FINETUNED))
def test_finetuned_configs_follow_the_recipe(path):
    """What docs/stability.md names; the schedule behind it is the backbone's."""
    cfg = load_once(path)
    assert cfg.model.resizer.zero_init is True
    assert cfg.model.resizer.norm_cfg is None
    assert dict(type="mmresizer.ResizerOptimizerHook", lr=3e-4) in cfg.custom_hooks


@pytest.mark.parametrize(
    ("recipe", "others"),
    [
        ("resizer_adamw", []),
        (
            "resizer_adamw_averaged",
            [dict(type="EMAHook", momentum=0.05, update_buffers=True)],
        ),
    ],
)
@pytest.mark.parametrize(
    "base",
    ["resnet/resnet50_8xb32_in1k.py", "swin_transformer/swin-base_16xb64_in1k.py"],
)
def test_recipe_is_one_more_base(base, recipe, others, tmp_path):
    """Of SGD and of AdamW; what the file says otherwise is MMPretrain's."""
    bases = [f"mmpretrain::{base}", f"mmresizer::_base_/schedules/{recipe}.py"]
    for name, chosen in (("plain.py", bases[:1]), ("recipe.py", bases)):
        (tmp_path / name).write_text(f"_base_ = {chosen}")
    cfg = Config.fromfile(tmp_path / "recipe.py").to_dict()
    own = dict(type="mmresizer.ResizerOptimizerHook", lr=3e-4)
    hooks = cfg.pop("custom_hooks")
    assert {hook.pop("_scope_") for hook in hooks} == {"mmresizer"}
    assert hooks == [own, *others]
    assert cfg == Config.fromfile(tmp_path / "plain.py").to_dict()


@pytest.mark.parametrize(
    ("name", "total"),
    [("bilinear", 7_039_554), ("resizer", 7_051_717)],
)
def test_keras_parameter_totals(name, total):
    """Keras's example prints them; it counts running statistics."""
    folder = ROOT / "configs/cats_dogs"
    (path,) = folder.glob(f"{name}x2_densenet121_1xb64_cats-dogs_150px.py")
    model = build_model(load_once(path))
    statistics = [b for n, b in model.named_buffers() if "running_" in n]
    assert sum(t.numel() for t in [*model.parameters(), *statistics]) == total


def test_model_index():
    """The metafiles are valid and list every config once."""
    index = load(str(ROOT / "model-index.yml"))
    index.build_models_with_collections()
    listed = [model.config for model in index.models]
    assert sorted(listed) == sorted(str(path.relative_to(ROOT)) for path in CONFIGS)
    for model in index.models:
        assert model.name == Path(model.config).stem


def test_pages_are_current():
    """tools/misc/update_model_zoo.py has nothing to write."""
    pages = render_zoo_pages(ROOT) | render_comparison_pages(ROOT)
    for page, text in pages.items():
        assert page.read_text() == text, page
