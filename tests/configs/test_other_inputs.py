"""Inputs without a config: one line on the page of a family, and the sweeps."""

import csv
import os
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from config_names import NAME, load_at, read_commands
from mmcv.transforms import Compose
from mmengine.registry import DefaultScope

from conftest import ROOT
from mmresizer.analysis.costs import input_size, model_costs
from mmresizer.comparison.spec import load_spec
from mmresizer.config.building import build_model
from mmresizer.config.loading import load_config
from mmresizer.registry import DATASETS, MODELS

IMAGENET = ROOT / "configs/imagenet"
SWEEPS = sorted((ROOT / "comparisons").glob("sweep_in1k_*.py"))
INPUTS = (224, 256, 320, 368, 448)
LINES = [
    (page.parent.name, i)
    for page in sorted((ROOT / "configs").glob("[!_]*/README.md"))
    for i in range(len(read_commands(page.parent.name)))
]


# Their images have one size, or stay in memory at one: the line sets the output.
IN_MEMORY = ("cub_100", "deep_pcb", "neu", "playing_cards", "rsscn7", "scene_15")
DENSE = ("ade20k", "cityscapes", "coco", "magnetic_tiles")


def test_finds_the_lines():
    """Objects of textured_shapes are drawn at one size."""
    families = {path.name for path in (ROOT / "configs").glob("[!_]*")}
    assert {family for family, _ in LINES} == families - {"textured_shapes"}
    # There are two data sets of degraded images.
    assert len(LINES) == 9 + len(DENSE) + len(IN_MEMORY)


@pytest.mark.parametrize("family", IN_MEMORY)
def test_line_sets_the_output(family):
    (command,) = read_commands(family)
    resizer = MODELS.build(load_at(command, 40).model.resizer)
    assert resizer.get_output_size((96, 96)) == (40, 40)


def load_image(dataset, folder):
    """Returns what a dataset's pipeline makes of an image of 700 x 500 px."""
    if "image_size" in dataset:  # it draws them
        return DATASETS.build({**dataset, "num_samples": 1})[0]["inputs"]
    image = np.random.default_rng(0).integers(0, 255, (500, 700, 3), dtype=np.uint8)
    path = str(folder / "image.png")
    assert cv2.imwrite(path, image)
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        pipeline = Compose(dataset.pipeline)
    return pipeline(dict(img_path=path, img=image, img_shape=image.shape[:2]))["inputs"]


@pytest.mark.parametrize(
    ("family", "i"),
    [line for line in LINES if line[0] not in (*DENSE, *IN_MEMORY)],
)
@pytest.mark.parametrize("n", [pytest.param(None, marks=pytest.mark.zoo), 288])
def test_line_sets_the_input(family, i, n, tmp_path):
    """The pipelines deliver n x n px, and the resizer the size in the name."""
    command = read_commands(family)[i]
    n = n or int(re.match(r"n=(\d+);", command)[1])
    cfg = load_at(command, n)
    output = int(NAME.fullmatch(Path(cfg.filename).stem)["output"])
    resizer = MODELS.build(cfg.model.resizer).eval()
    for name in ("train", "val", "test"):
        image = load_image(cfg[f"{name}_dataloader"].dataset, tmp_path)
        assert image.shape == (3, n, n)
        with torch.no_grad():
            assert resizer(image[None].float()).shape == (1, 3, output, output)


@pytest.mark.detection
@pytest.mark.parametrize("detector", ["faster-rcnn", "mask-rcnn", "retinanet"])
def test_line_of_detectors(detector):
    """MMDetection's 1333 x 800 px and multiple of 32, times 1.25."""
    (command,) = read_commands("coco")
    name = f"resizerx2_{detector}-r50-fpn_8xb2_coco_800px.py"
    cfg = load_at(command, 1000, ROOT / "configs/coco" / name)
    pipelines = [
        cfg[f"{name}_dataloader"].dataset.pipeline for name in ("train", "val", "test")
    ]
    scales = [step.scale for steps in pipelines for step in steps if "scale" in step]
    assert scales == [(1667, 1000)] * 3
    assert MODELS.build(cfg.model.resizer).get_output_size((1000, 1667)) == (800, 1333)
    assert cfg.model.data_preprocessor.pad_size_divisor == 40


@pytest.mark.parametrize(
    ("family", "n", "size", "output"),
    [
        ("cityscapes", 352, (1024, 2048), (352, 704)),
        ("cityscapes", 256, (1024, 2048), (256, 512)),
        ("magnetic_tiles", 32, (256, 256), (32, 32)),
        ("magnetic_tiles", 104, (256, 256), (104, 104)),
    ],
)
def test_line_of_segmentors_sets_the_output(family, n, size, output):
    """The images, and what reads them, stay as they are."""
    (command,) = read_commands(family)
    cfg = load_at(command, n)
    assert input_size(cfg) == size
    assert MODELS.build(cfg.model.resizer).get_output_size(size) == output
    del cfg.model.resizer["scale_factor"]
    plain = load_config(cfg.filename)
    del plain.model.resizer["scale_factor"]
    assert cfg.to_dict() == plain.to_dict()


@pytest.mark.parametrize("segmentor", ["deeplabv3plus", "fcn", "segformer"])
@pytest.mark.parametrize("n", [640, 700, 768, 1000, 1536])
def test_line_of_ade20k(segmentor, n):
    """MMSegmentation's 512 px, and its scales of 2048x512, at another factor."""
    (command,) = read_commands("ade20k")
    (path,) = (ROOT / "configs/ade20k").glob(f"resizerx2_{segmentor}-*.py")
    cfg = load_at(command, n, path)
    pipelines = [
        cfg[f"{name}_dataloader"].dataset.pipeline for name in ("train", "val", "test")
    ]
    scales = [step.scale for steps in pipelines for step in steps if "scale" in step]
    assert scales == [(4 * n, n)] * 3
    assert input_size(cfg) == cfg.model.data_preprocessor.size == (n, n)
    assert MODELS.build(cfg.model.resizer).get_output_size((n, n)) == (512, 512)


@pytest.mark.parametrize(
    ("family", "name"),
    [
        ("imagenet", "{}_mobilenet-v2_8xb32-ft_in1k_224px"),
        ("ava", "{}_efficientnet-b0_8xb32-ft_ava_224px"),
    ],
)
@pytest.mark.parametrize("resizer", ["resizer", "baseline"])
def test_line_at_the_smallest_input_is_the_config_of_it(family, name, resizer):
    baseline = "bicubic" if family == "ava" else "bilinear"
    kind = "resizer" if resizer == "resizer" else baseline
    folder = ROOT / "configs" / family
    cfg = load_at(
        read_commands(family)[0], 224, folder / f"{name.format(kind + 'x2')}.py"
    )
    expected = load_config(str(folder / f"{name.format(kind + 'x1')}.py"))
    configs = [cfg.to_dict(), expected.to_dict()]
    for settings in configs:  # variables, which nobody reads any more
        for key in ("train_pipeline", "test_pipeline", "dataset", "input_size"):
            settings.pop(key, None)
    assert configs[0] == configs[1]


def test_table_of_other_inputs():
    """GMAC are counted, latency ratios are those of docs/benchmarks."""
    page = (IMAGENET / "README.md").read_text()
    rows = re.findall(r"^\| (\d{3}) \| ([\d.]+) \| ([\d.]+) \| (.*) \|$", page, re.M)
    assert [int(row[0]) for row in rows] == [256, 320, 368]
    with open(ROOT / "docs/benchmarks/pairs_cpu-2-cores.csv", newline="") as file:
        measured = {row["config"]: float(row["ratio"]) for row in csv.DictReader(file)}
    backbones = ("densenet121", "inception-v2", "mobilenet-v2", "resnet50")
    cfg = load_config(str(IMAGENET / "resizerx2_mobilenet-v2_8xb32_in1k_224px.py"))
    for size, factor, gmac, ratios in rows:
        assert factor == f"{int(size) / 224:.2f}"
        costs = model_costs(cfg, (int(size), int(size)))
        assert gmac == f"{costs.resizer.macs / 1e9:.3f}"
        assert ratios.split(" | ") == [
            f"{measured[f'resizerx{factor}_{backbone}_8xb32_in1k_224px']:.1f}"
            for backbone in backbones
        ]


def test_finds_the_sweeps():
    assert len(SWEEPS) == 4


@pytest.mark.zoo
@pytest.mark.parametrize("setting", ["-ft", ""])
@pytest.mark.parametrize("sweep", SWEEPS, ids=lambda path: path.stem)
def test_sweep(sweep, setting, tmp_path, monkeypatch):
    """At 224 and 448 px it is the configs of those inputs; the others lie between."""
    monkeypatch.chdir(tmp_path)
    for split in ("train", "val"):
        (tmp_path / "data/imagenet" / split / "n01440764").mkdir(parents=True)
    backbone = sweep.stem.removeprefix("sweep_in1k_")
    name = f"{{}}_{backbone}_8xb32{setting}_in1k_224px"
    bilinear = load_config(str(IMAGENET / f"{name.format('bilinearx2')}.py"))
    weights = bilinear.get("load_from")
    if weights and "://" not in weights:  # of your own training
        os.makedirs(os.path.dirname(weights))
        torch.save({"state_dict": build_model(bilinear).state_dict()}, weights)
    options = {"config": f"mmresizer::imagenet/{name.format('bilinearx2')}.py"}
    spec = load_spec(str(sweep), None if setting else options)

    assert [(arm.name, arm.baseline) for arm in spec.arms] == [
        *((f"bilinear {size} px", True) for size in INPUTS),
        *((f"learned {size} px", False) for size in INPUTS),
    ]
    assert len(spec.seeds) == 3
    file = yaml.safe_load((IMAGENET / "metafile.yml").read_text())
    flops = {model["Name"]: model["Metadata"]["FLOPs"] for model in file["Models"]}
    for arm, size in zip(spec.arms, INPUTS * 2, strict=True):
        assert (arm.input_size, arm.output_size) == ((size, size), (224, 224))
        kind = "bilinear" if arm.baseline else "resizer"
        config = name.format(f"{kind}x{round(size / 224, 2):g}")
        if size in (224, 448):
            assert arm.macs == flops[config]
        assert arm.cfg.load_from == weights
        assert arm.cfg.optim_wrapper.optimizer == bilinear.optim_wrapper.optimizer
        assert arm.cfg.train_cfg.max_epochs == (30 if setting else 100)
        batch = arm.cfg.train_dataloader.batch_size
        batch *= arm.cfg.optim_wrapper.accumulative_counts
        assert batch == arm.cfg.auto_scale_lr.base_batch_size
        for part in ("train", "val", "test"):
            image = load_image(arm.cfg[f"{part}_dataloader"].dataset, tmp_path)
            assert image.shape == (3, size, size)
    costs = [arm.macs for arm in spec.arms if not arm.baseline]
    assert costs == sorted(set(costs))


def test_scratch_on_the_page_is_a_config():
    """What the page adds to a sweep, to train from scratch."""
    page = (IMAGENET / "README.md").read_text()
    (name,) = re.findall(r"--cfg-options config=mmresizer::imagenet/(\S+\.py)", page)
    assert (IMAGENET / name).is_file()
