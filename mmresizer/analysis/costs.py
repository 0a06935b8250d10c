"""Parameters, multiply-accumulates and activations of the model of a config."""

import logging
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from inspect import signature
from typing import NamedTuple

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from torch import nn
from torch.overrides import TorchFunctionMode

from mmresizer.config.building import build_model
from mmresizer.config.checks import find_task
from mmresizer.datasets import DegradedTextures, FineTextures
from mmresizer.models import BaseResizer, InterpolationResizer
from mmresizer.models.utils import get_resizer, get_resizer_name, without_resizer
from mmresizer.registry import DATASETS, enter_scope, find_class, get_type_name
from mmresizer.utils import InputError

from .dense_costs import prepare_to_count
from .flops import Cost, count_costs, count_macs

# For :func:`input_size` where it is None.
DEFAULT_SIZE = (224, 224)

# Sides of the squares that published classifiers are made for, most frequent first.
_USUAL_SIDES = (224, 384, 256, 448, 32, 512, 240, 288, 320, 336, 299, 518)

# Transforms that deliver the size in their config: 1 if as (height, width), -1 if as
# (width, height).
_SIZE_ORDERS = {
    "AspectRatioResize": 1,  # its square shape; the others have about as many pixels
    "CenterCrop": -1,
    "Pad": -1,
    "Resize": -1,
    "EfficientNetCenterCrop": 1,
    "EfficientNetRandomCrop": 1,
    "RandomCrop": 1,
    "RandomResizedCrop": 1,
}


class ModelCosts(NamedTuple):
    """What a model with a resizer costs for one image.

    Attributes:
        resizer (Cost): Cost of the resizer.
        backbone (Cost, optional): Cost of the backbone. None for wrappers of foreign
            models, in which backbone and head are one.
        rest (Cost): Cost of everything else: neck and head or, without a backbone, the
            whole wrapped model.
        total (Cost): Cost of the model.
    """

    resizer: Cost
    backbone: Cost | None
    rest: Cost
    total: Cost


def model_costs(model: Config | nn.Module, size: tuple[int, int]) -> ModelCosts:
    """Counts what a model with a resizer costs for one image.

    Counted is what inference computes: of the stem of a learned resizer the positions
    that interpolation reads, where these are few. A detector is counted up to where the
    boxes are decoded. A detector in two stages has as many proposals as it may have. In
    deformable attention the linear layers are counted: torch counts no products of its
    sampling. A segmentor is counted up to the logits of each pixel.

    Args:
        model (Config | nn.Module): The config, or its model from
            :func:`build_model_to_count`.
        size (tuple[int, int]): Height and width of the input in pixels.

    Raises:
        InputError: If the model of the config cannot be built, is of another task, has
            no resizer, or does not take such an input.
    """
    if isinstance(model, Config):
        model = build_model_to_count(model, size)
    resizer = get_resizer_name(model)
    has_backbone = isinstance(getattr(model, "backbone", None), nn.Module)
    parts = ["", resizer, *(["backbone"] if has_backbone else [])]
    total, resizer_cost, *others = count_costs(model, size, _in_channels(model), parts)
    skipped = get_resizer(model).count_skipped_macs(size)
    total, resizer_cost = (_skip(cost, skipped) for cost in (total, resizer_cost))
    rest, backbone = total - resizer_cost, None
    if others:
        backbone = others[0]
        if resizer.startswith("backbone."):
            backbone = _skip(backbone, skipped) - resizer_cost
        rest -= backbone
    return ModelCosts(resizer_cost, backbone, rest, total)


def _skip(cost: Cost, macs: int) -> Cost:
    return replace(cost, macs=cost.macs - macs, skipped_macs=macs)


def macs_without_resizer(model: nn.Module, size: tuple[int, int]) -> int:
    """Counts the multiply-accumulates of a model whose backbone sees the input itself.

    Args:
        model (nn.Module): From :func:`build_model_to_count`; it is not changed.
        size (tuple[int, int]): Height and width of the input in pixels.

    Raises:
        InputError: If the backbone does not take such an input.
    """
    return count_macs(without_resizer(model), size, get_resizer(model).out_channels)


def check_input_size(cfg: Config) -> None:
    """Checks that a model with a resizer takes what its pipeline delivers.

    The model is tried on the meta device or on the CPU. A model that fails at every
    size passes: it may have an operator for CUDA alone, and run elsewhere. Detectors
    pass too: they take images of any size, and say themselves which are too small.

    Raises:
        InputError: If the model refuses an image of this size.
    """
    size = input_size(cfg)
    if size is None or "resizer" not in cfg.model or find_task(cfg) == "detection":
        return
    try:
        model = build_model_to_count(cfg, size)
    except InputError:  # no fault of the size; who builds it to train it says so
        return
    try:
        model_costs(model, size)
    except InputError as e:
        if isinstance(e.__cause__, InputError) or _takes_another_size(model, size):
            name = f"{cfg.filename}: " if cfg.filename else ""
            raise InputError(f"{name}{e}") from e
        _check_channels(model, size)
        return
    resizer = get_resizer(model)
    if isinstance(resizer, InterpolationResizer):
        return
    if resizer.get_output_size(size) == size:
        print_log(
            f"the images are {size[0]}x{size[1]} pixels (height x width) already, as "
            "many as behind the resizer; let the pipelines deliver more",
            logger="current",
            level=logging.WARNING,
        )


def _check_channels(model: nn.Module, size: tuple[int, int]) -> None:
    """Checks that the backbone takes as many channels as its resizer gives."""
    resizer = get_resizer(model)
    given, usual = resizer.out_channels, resizer.in_channels
    plain, seen = without_resizer(model), resizer.get_output_size(size)
    if not _takes(plain, seen, given) and _takes(plain, seen, usual):
        raise InputError(
            f"the resizer gives images of out_channels={given}, but the backbone takes "
            f"{usual} channels; most take model.backbone.in_channels={given}"
        )


def _takes_another_size(model: nn.Module, size: tuple[int, int]) -> bool:
    """Says whether a model that fails at a size runs at another one.

    Behind a resizer to a fixed size the backbone always sees the same size. If it fails
    there, it is tried at other sizes without the resizer.
    """
    usual = [(side, side) for side in _USUAL_SIDES]
    channels = _in_channels(model)
    if any(_takes(model, other, channels) for other in usual):
        return True
    resizer = get_resizer(model)
    plain, seen = without_resizer(model), resizer.get_output_size(size)
    return not _takes(plain, seen, resizer.out_channels) and any(
        _takes(plain, other, resizer.out_channels) for other in usual
    )


def _takes(model: nn.Module, size: tuple[int, int], in_channels: int) -> bool:
    try:
        count_macs(model, size, in_channels)
    except InputError:
        return False
    return True


def _in_channels(model: nn.Module) -> int:
    resizers = [m for m in model.modules() if isinstance(m, BaseResizer)]
    return resizers[0].in_channels if resizers else 3


def build_model_to_count(cfg: Config, size: tuple[int, int] | None = None) -> nn.Module:
    """Builds the model of a config without weights, where it runs without them.

    The model is on torch's meta device, where tensors have shapes but no values: a
    forward pass takes neither memory nor arithmetic. A model that does not run there at
    the given size, as it may look at values, is on the CPU with random weights. Nothing
    is downloaded.

    Args:
        cfg (Config): The config.
        size (tuple[int, int], optional): Height and width of the input in pixels.
            Defaults to what the test pipeline delivers or, where the config does not
            say it, to :data:`DEFAULT_SIZE`.

    Raises:
        InputError: If the model is of another task, or cannot be built.
    """
    cfg = deepcopy(cfg)
    cfg.setdefault("launcher", "none")
    find_task(cfg)
    for part in (cfg.model, cfg.model.get("backbone")):
        if isinstance(part, dict):  # timm's and Hugging Face's models load at once
            part.pop("pretrained", None)
    try:
        with _EmptyOnMeta():
            model = _build_prepared(cfg).to("meta")
    except InputError:
        return _build_prepared(cfg)
    size = size or input_size(cfg) or DEFAULT_SIZE
    return model if _takes(model, size, _in_channels(model)) else _build_prepared(cfg)


def _build_prepared(cfg: Config) -> nn.Module:
    model = build_model(cfg)
    prepare_to_count(model)
    return model


class _EmptyOnMeta(TorchFunctionMode):
    """Leaves the weights of layers without memory.

    ``torch.device("meta")`` as a context does not do: some models compute numbers with
    tensors while they are built, such as the rates of drop path.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is torch.empty:
            kwargs = {**kwargs, "device": "meta"}
        return func(*args, **kwargs)


def input_size(cfg: Config) -> tuple[int, int] | None:
    """Returns the (height, width) that the test pipeline of a config delivers.

    Images of detectors keep their aspect ratios. The size is then that of the largest
    landscape image. For segmentors it is that of the training pipeline: they are tested
    on whole images of any size, and compared by the cost of a crop.

    Returns:
        tuple[int, int], optional: None if the config does not say it.
    """
    task = find_task(cfg) if cfg.get("model") else "classification"
    loader = "train_dataloader" if task == "segmentation" else "test_dataloader"
    dataset = (cfg.get(loader) or {}).get("dataset") or {}
    while "pipeline" not in dataset and isinstance(dataset.get("dataset"), dict):
        dataset = dataset["dataset"]
    image_size = None
    enter_scope(cfg)
    made = find_class(DATASETS, dataset.get("type"))
    # These make images of a size of their own.
    if made in (DegradedTextures, FineTextures):
        default = signature(made).parameters["image_size"].default
        image_size = (dataset.get("image_size", default),) * 2
    pipeline = dataset.get("pipeline") or []
    if task == "detection":
        pipeline = [_fill_scale(transform) for transform in pipeline]
    return pipeline_size(pipeline, image_size)


def fixed_input_size(cfg: Config, name: str) -> tuple[int, int]:
    """Returns :func:`input_size` of a config that must have one.

    Args:
        cfg (Config): The config.
        name (str): What it is called, for the message.

    Raises:
        InputError: If it has none.
    """
    size = input_size(cfg)
    if size is None:
        split = "training" if find_task(cfg) == "segmentation" else "test"
        raise InputError(f"the {split} pipeline of {name} must deliver a fixed size")
    return size


def _fill_scale(transform: dict) -> dict:
    """Returns a transform that makes the largest landscape image of any image."""
    scale = transform.get("scale")
    if not transform.get("keep_ratio") or not isinstance(scale, list | tuple):
        return transform
    return {**transform, "keep_ratio": False, "scale": sorted(scale, reverse=True)}


def pipeline_size(
    pipeline: Sequence[dict], image_size: tuple[int, int] | None = None
) -> tuple[int, int] | None:
    """Returns the (height, width) that a data pipeline delivers, from its config.

    Args:
        pipeline (Sequence[dict]): Configs of the transforms.
        image_size (tuple[int, int], optional): Height and width of the images, if they
            are known.

    Returns:
        tuple[int, int], optional: None if the config does not say it.
    """
    for transform in reversed(pipeline):
        keys = [key for key in ("crop_size", "scale", "size") if key in transform]
        if not keys:
            continue
        size, kind = transform[keys[0]], get_type_name(transform)
        if isinstance(size, int):
            size = (size, size)
        is_pair = isinstance(size, list | tuple) and len(size) == 2
        if not is_pair or kind not in _SIZE_ORDERS or transform.get("keep_ratio"):
            return None
        height, width = size[:: _SIZE_ORDERS[kind]]
        return height, width
    return image_size
