"""Costs of detectors, from their configs for COCO."""

from pathlib import Path

import pytest

from mmresizer.analysis.costs import (
    build_model_to_count,
    input_size,
    macs_without_resizer,
    model_costs,
)
from mmresizer.analysis.dense_costs import prepare_to_count
from mmresizer.config.building import build_model
from mmresizer.config.loading import load_config

CONFIGS = Path(__file__).parents[2] / "configs/coco"


def load(name):
    (path,) = CONFIGS.glob(f"{name}_*.py")
    return load_config(str(path))


@pytest.mark.detection
def test_published_costs():
    """RTMDet's page: 8.89 million parameters, 14.8 G."""
    cfg = load("resizerx2_rtmdet-s")
    assert input_size(cfg) == (1280, 1280)
    model = build_model_to_count(cfg)
    assert all(parameter.is_meta for parameter in model.parameters())
    costs = model_costs(model, (1280, 1280))
    plain = costs.total - costs.resizer
    assert round(plain.parameters / 1e6, 2) == 8.89
    assert round(plain.macs / 1e9, 1) == 14.8
    assert macs_without_resizer(model, (640, 640)) == plain.macs


@pytest.mark.detection
def test_two_stages():
    """1000 proposals and 100 masks, whatever the weights and the image."""
    cfg = load("bilinearx2_mask-rcnn-r50-fpn")
    assert input_size(cfg) == (1600, 2666)
    model = build_model_to_count(cfg)
    boxes = 1000 * (256 * 49 * 1024 + 1024 * 1024 + 1024 * (81 + 4 * 80))
    pixels = 14 * 14
    masks = 100 * 256 * (4 * 9 * 256 * pixels + 4 * 256 * pixels + 80 * 4 * pixels)
    small, large = (model_costs(model, size).rest for size in ((256, 384), (512, 768)))
    # All but the heads of the second stage grows with the image.
    assert 4 * small.macs - large.macs == 3 * (boxes + masks)


@pytest.mark.detection
@pytest.mark.parametrize(
    "name", ["resizerx2_dino-4scale-r50", "resizerx2_faster-rcnn-r50-fpn"]
)
def test_counts_without_memory(name):
    """The same numbers as of the model with its weights."""
    cfg = load(name)
    cfg.merge_from_dict(
        {
            "model.backbone": dict(depth=18, base_channels=8),
            "model.neck.in_channels": [8, 16, 32, 64],
        }
    )
    if "dino" in name:
        cfg.model.merge(dict(neck=dict(in_channels=[16, 32, 64]), num_queries=20))
    model = build_model_to_count(cfg)
    assert all(parameter.is_meta for parameter in model.parameters())
    real = build_model(cfg)
    prepare_to_count(real)
    size = (130, 190)  # is padded
    assert model_costs(model, size) == model_costs(real, size)
