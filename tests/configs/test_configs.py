"""Walks every config: it parses, is named by the grammar, builds and has a control."""

import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from modelindex.load_model_index import load

from mmresizer.registry import DATASETS, MODELS

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").glob("[!_]*/*.py"))
NAME = re.compile(
    r"(?P<resizer>resizer|muller|bilinear|bilinear-aa|bicubic)x(?P<factor>[\d.]+)"
    r"_(?P<backbone>[\w-]+?)_(?P<gpus>\d+)xb(?P<batch>\d+)(?P<setting>-[\w-]+)?"
    r"_(?P<dataset>[a-z0-9-]+)_(?P<output>\d+)px"
)
TYPES = {
    "resizer": ("mmresizer.LearnedResizer", "bilinear", False),
    "bilinear": ("mmresizer.InterpolationResizer", "bilinear", False),
    "bilinear-aa": ("mmresizer.InterpolationResizer", "bilinear", True),
    "bicubic": ("mmresizer.InterpolationResizer", "bicubic", False),
}


def input_size(pipeline, dataset):
    """Side of the square that a pipeline delivers, in pixels."""
    for transform in reversed(pipeline):
        size = transform.get("crop_size", transform.get("scale"))
        if size is not None:
            return size if isinstance(size, int) else size[0]
    return DATASETS.build(dataset)[0]["inputs"].shape[-1]


def test_finds_the_configs():
    assert len(CONFIGS) >= 11
    assert len({path.stem for path in CONFIGS}) == len(CONFIGS)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_name(path):
    """Resizer, factor, batch and output in the name are the resolved config's."""
    name = NAME.fullmatch(path.stem)
    assert name, path.stem
    cfg = Config.fromfile(path)
    init_default_scope(cfg.default_scope)
    resizer = cfg.model.resizer
    kind, interpolation, antialias = TYPES[name["resizer"]]
    assert resizer.type == kind
    assert resizer.get("interpolation", "bilinear") == interpolation
    assert resizer.get("antialias", False) == antialias
    assert resizer.output_size == int(name["output"])
    assert cfg.train_dataloader.batch_size == int(name["batch"])
    batch = int(name["gpus"]) * int(name["batch"])
    assert cfg.auto_scale_lr.base_batch_size == batch
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        size = input_size(loader.dataset.pipeline, loader.dataset)
        assert float(name["factor"]) == round(size / resizer.output_size, 2)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_control(path):
    """Each learned config has its control, and they differ in the resizer alone."""
    control = path.with_name(re.sub(r"^[a-z-]+x", "bilinearx", path.name))
    configs = [Config.fromfile(p).to_dict() for p in (path, control)]
    resizers = [cfg["model"].pop("resizer") for cfg in configs]
    assert configs[0] == configs[1]
    assert resizers[0].pop("output_size") == resizers[1].pop("output_size")
    assert (resizers[0] == resizers[1]) == (path == control)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_builds(path):
    cfg = Config.fromfile(path)
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model).eval()
    size = 2 * cfg.model.resizer.output_size
    with torch.no_grad():
        scores = model(torch.zeros(1, 3, size, size))
    assert scores.shape == (1, cfg.model.head.num_classes)


def test_model_index():
    """The metafiles are valid and list every config once."""
    index = load(str(ROOT / "model-index.yml"))
    index.build_models_with_collections()
    listed = [model.config for model in index.models]
    assert sorted(listed) == [str(path.relative_to(ROOT)) for path in CONFIGS]
    for model in index.models:
        assert model.name == Path(model.config).stem
