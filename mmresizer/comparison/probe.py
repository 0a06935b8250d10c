"""The probe: small models that say what a task loses by resizing, and who wins it back.

It is a comparison of four arms: antialiased and plain interpolation to the output size,
a learned resizer to it, and the full size.
"""

import math
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from mmengine.config import Config

from mmresizer.analysis.costs import build_model_to_count, fixed_input_size, model_costs
from mmresizer.config.data_checks import find_heads
from mmresizer.models import BaseResizer
from mmresizer.models.utils import get_resizer
from mmresizer.registry import DATASETS, enter_scope
from mmresizer.utils import InputError
from mmresizer.utils.tables import make_table

from .arm import Arm
from .dry_build import DATALOADERS, check_outline, dry_build
from .overview import show_difference, show_interval
from .spec import Spec

ANTIALIASED, BILINEAR = "antialiased", "bilinear"
LEARNED, FULL = "learned", "full size"
# From this size of images on, the small model has ImageNet's stem, whose stride is 4.
_LARGE = 56
# More pixels than those of such a square a laptop does not train within the hour.
_MAX_SIDE = 224
_WIDTH = 16
_BATCH_SIZE = 64
_WARMUP_EPOCHS = 2
# What nobody would change a model for, in points.
_NEGLIGIBLE = 2.0


@dataclass(frozen=True)
class ProbeSize:
    """How long a probe takes, and how sure it is.

    Attributes:
        images (int): Images of each split, drawn at random from the config's.
        epochs (int): Epochs of each run.
        seeds (int): Runs of each arm, two or more.
    """

    images: int = 2000
    epochs: int = 20
    seeds: int = 3


def make_probe(
    cfg: Config,
    name: str,
    output_size: tuple[int, int] | None = None,
    size: ProbeSize | None = None,
) -> Spec:
    """Makes the comparison that answers for a config's data.

    The images and their pipelines are the config's. The models are not: each is a
    ResNet-18 of a quarter of its width, from scratch.

    Args:
        cfg (Config): Config of a classifier.
        name (str): What the probe is called.
        output_size (tuple[int, int], optional): Height and width that a backbone would
            get, in pixels. Defaults to that of the config's resizer.
        size (ProbeSize, optional): Defaults to ``ProbeSize()``.

    Raises:
        InputError: If the config trains no classifier on images of one size, or the
            output size is not below the input size.
    """
    size = size or ProbeSize()
    if size.seeds < 2:
        raise InputError(f"seeds must be 2 or more, for an interval, got {size.seeds}")
    if size.epochs <= _WARMUP_EPOCHS:
        raise InputError(
            f"epochs must be above {_WARMUP_EPOCHS}, those of the warm-up, but got "
            f"{size.epochs}"
        )
    check_outline(cfg, "the config")
    enter_scope(cfg)
    input_size = fixed_input_size(cfg, "the config")
    model = build_model_to_count(cfg)
    if output_size is None:
        output_size = _find_output_size(model, input_size)
    if not _is_smaller(output_size, input_size):
        raise InputError(
            "the output size must be below the input size, "
            f"{_show(input_size)}, but is {_show(output_size)}"
        )
    base = _make_config(cfg, size)
    num_classes = _find_num_classes(cfg, model)
    arms = []
    for arm, resizer in _make_resizers(input_size, output_size).items():
        arm_cfg = deepcopy(base)
        arm_cfg.model = _make_model(resizer, num_classes)
        if "data_preprocessor" in cfg.model:  # of the model alone
            arm_cfg.model.data_preprocessor = deepcopy(cfg.model.data_preprocessor)
        built = dry_build(arm_cfg, f"arm {arm!r}", None)
        arms.append(
            Arm(
                name=arm,
                baseline=arm != LEARNED,
                cfg=arm_cfg,
                base=arm,
                input_size=input_size,
                output_size=get_resizer(built).get_output_size(input_size),
                macs=model_costs(built, input_size).total.macs,
            )
        )
    seeds = list(range(size.seeds))
    return Spec(name, None, None, arms, seeds, _WARMUP_EPOCHS, holdout=None)


def _find_output_size(model: Any, input_size: tuple[int, int]) -> tuple[int, int]:
    try:
        resizer: BaseResizer = get_resizer(model)
    except InputError as e:
        raise InputError(
            "the config has no resizer that says the output size; give --output-size"
        ) from e
    return resizer.get_output_size(input_size)


def _is_smaller(output: tuple[int, int], input: tuple[int, int]) -> bool:
    return output != input and all(o <= i for o, i in zip(output, input, strict=True))


def _show(size: tuple[int, int]) -> str:
    return "{}x{}".format(*size)


def _find_num_classes(cfg: Config, model: Any) -> int:
    counts = find_heads(cfg, model)
    if not counts:
        raise InputError(
            "the config must say how many classes there are, as model.head.num_classes"
        )
    return min(counts.values())


def _make_config(cfg: Config, size: ProbeSize) -> Config:
    """Takes the data of a config, and nothing else."""
    parts = {
        name: cfg[name]
        for name in (*DATALOADERS, "data_preprocessor", "default_scope", "env_cfg")
        if name in cfg
    }
    made = Config(deepcopy(parts))
    for i, name in enumerate(DATALOADERS):
        loader = made[name]
        loader.batch_size = _BATCH_SIZE
        loader.sampler = dict(type="DefaultSampler", shuffle=i == 0)
        for key in ("batch_sampler", "drop_last", "num_batch_per_epoch"):
            loader.pop(key, None)
        _draw_images(loader.dataset, name, size.images)
    made.merge_from_dict(
        dict(
            custom_imports=dict(imports=["mmresizer"], allow_failed_imports=False),
            train_cfg=dict(by_epoch=True, max_epochs=size.epochs, val_interval=1),
            val_cfg=dict(),
            test_cfg=dict(),
            val_evaluator=dict(type="Accuracy", topk=(1,)),
            test_evaluator=dict(type="Accuracy", topk=(1,)),
            optim_wrapper=dict(
                optimizer=dict(
                    type="SGD", lr=0.05, momentum=0.9, weight_decay=5e-4, nesterov=True
                ),
                paramwise_cfg=dict(custom_keys=dict(resizer=dict(lr_mult=0.1))),
            ),
            param_scheduler=[
                dict(
                    type="LinearLR",
                    start_factor=0.1,
                    begin=0,
                    end=_WARMUP_EPOCHS,
                    convert_to_iter_based=True,
                ),
                dict(
                    type="CosineAnnealingLR",
                    begin=_WARMUP_EPOCHS,
                    end=size.epochs,
                    convert_to_iter_based=True,
                ),
            ],
        )
    )
    return made


def _draw_images(dataset: Any, name: str, count: int) -> None:
    """Lets a dataset have ``count`` of its images, drawn at random, the same always."""
    if "pipeline" not in dataset:
        raise InputError(
            f"{name}.dataset must be a dataset with a pipeline of its own, and no "
            f"wrapper, but is of type {dataset.get('type')!r}"
        )
    try:
        number = len(DATASETS.build(deepcopy(dataset)))
    except Exception as e:  # whatever is wrong with the data
        reason = " ".join(str(e).split())
        raise InputError(f"cannot load {name}.dataset ({reason})") from e
    if number <= count:
        return
    chosen = np.sort(np.random.default_rng(0).permutation(number)[:count])
    known = dataset.get("indices")
    if isinstance(known, list | tuple):
        chosen = np.asarray(known)[chosen]
    dataset.indices = chosen.tolist()


def _make_model(resizer: dict[str, Any], num_classes: int) -> dict[str, Any]:
    large = min(resizer["output_size"]) >= _LARGE
    return dict(
        type="mmresizer.ResizerClassifier",
        resizer=resizer,
        backbone=dict(
            type="mmpretrain.ResNet" if large else "mmpretrain.ResNet_CIFAR",
            depth=18,
            stem_channels=_WIDTH,
            base_channels=_WIDTH,
            num_stages=4,
            out_indices=(3,),
            style="pytorch",
        ),
        neck=dict(type="mmpretrain.GlobalAveragePooling"),
        head=dict(
            type="mmpretrain.LinearClsHead",
            num_classes=num_classes,
            in_channels=8 * _WIDTH,
            loss=dict(type="mmpretrain.CrossEntropyLoss"),
        ),
    )


def _make_resizers(
    input_size: tuple[int, int], output_size: tuple[int, int]
) -> dict[str, dict[str, Any]]:
    plain = dict(type="mmresizer.InterpolationResizer", output_size=output_size)
    learned = dict(plain, type="mmresizer.LearnedResizer")
    full = find_full_size(input_size, output_size)
    return {
        ANTIALIASED: dict(plain, antialias=True),
        BILINEAR: dict(plain, antialias=False),
        # The form that pools what it sees of all pixels.
        LEARNED: dict(learned, antialias=True, stem_stride=2),
        FULL: dict(plain, antialias=True, output_size=full),
    }


def find_full_size(
    input_size: tuple[int, int], output_size: tuple[int, int]
) -> tuple[int, int]:
    """Returns the size that stands for the full one, which a laptop can train.

    It is the input size, or one of the same proportions with as many pixels as a square
    of 224 px or, if that is more, as twice the sides of the output make.

    Args:
        input_size (tuple[int, int]): Height and width of the pipeline's images.
        output_size (tuple[int, int]): Height and width that a backbone would get.
    """
    area = max(_MAX_SIDE**2, 4 * math.prod(output_size))
    factor = min(1.0, math.sqrt(area / math.prod(input_size)))
    height, width = (round(factor * n) for n in input_size)
    return height, width


class _Finding(NamedTuple):
    """A difference of two arms: mean and interval, in points."""

    mean: float
    low: float
    high: float


def explain_probe(summary: dict[str, Any], num_classes: int) -> str:
    """Says what a probe found.

    Args:
        summary (dict[str, Any]): Of the comparison.
        num_classes (int): Number of classes of the task.

    Returns:
        str: A table, and an answer of a few sentences, in Markdown.
    """
    arms = {arm["arm"]: arm for arm in summary["arms"]}
    rows = [
        [
            name,
            arms[name]["output"],
            show_interval(arms[name]["top1"]),
            f"{arms[name]['gmac']:.4f}",
        ]
        for name in (ANTIALIASED, BILINEAR, LEARNED, FULL)
    ]
    table = make_table(("arm", "output", "top-1 (%)", "GMAC"), rows)
    found = {
        row["arm"]: _Finding(*row["difference"])
        for row in summary["differences"]
        if row["baseline"] == ANTIALIASED
    }
    if not {BILINEAR, LEARNED, FULL} <= found.keys():
        return f"{table}\n\nNo answer: too few runs have finished."
    changes = {
        f"the full size, {arms[FULL]['output']}": FULL,
        "a learned resizer": LEARNED,
        "plain bilinear interpolation, PyTorch's default": BILINEAR,
    }
    differences = make_table(
        (f"instead of antialiased {arms[ANTIALIASED]['output']}", "points"),
        [[what, show_difference(found[arm])] for what, arm in changes.items()],
    )
    best = max(arms[name]["top1"][0] for name in (FULL, LEARNED, ANTIALIASED))
    answer = _answer(found[FULL], found[LEARNED], best, 100 / num_classes)
    note = (
        "Small models from scratch stand in for yours. Intervals: 95 %. The rival of a "
        "resizer is a larger image that costs as much: tools/compare.py trains both."
    )
    return f"{table}\n\n{differences}\n\n**{answer}**\n\n{note}"


def _answer(loss: _Finding, gain: _Finding, best: float, chance: float) -> str:
    if best < 2 * chance:
        return (
            f"No answer: the small models hardly learn this task ({best:.1f} %, where "
            f"chance is {chance:.1f} %). Give it more images or epochs."
        )
    if gain.low > 0 and loss.low > 0:
        share = 100 * gain.mean / loss.mean
        return f"A resizer pays here: it wins {share:.0f} % of the loss back."
    if gain.low > 0:
        return (
            "A resizer gains here, though no loss by resizing was found: it adds "
            "capacity. Compare it with a larger backbone, too."
        )
    if loss.high < _NEGLIGIBLE:
        return f"Nothing to win: the loss is below {_NEGLIGIBLE:.0f} points."
    if loss.low <= 0:
        return (
            "Nothing to win was found: the loss cannot be told from zero. It may be up "
            f"to {loss.high:.1f} points."
        )
    harm = " It does harm." if gain.high < 0 else ""
    return (
        "There is something to win, but no gain of this resizer was found (at most "
        f"{max(gain.high, 0):.1f} points).{harm} Try a larger image."
    )
