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
from mmresizer.config.checks import find_task
from mmresizer.config.data_checks import check_datasets, find_heads
from mmresizer.models import BaseResizer
from mmresizer.models.utils import get_resizer
from mmresizer.registry import DATASETS, enter_scope
from mmresizer.utils import InputError
from mmresizer.utils.errors import one_line
from mmresizer.utils.tables import make_table, show_size

from .arm import Arm
from .dry_build import DATALOADERS, check_outline, dry_build
from .overview import show_difference, show_interval
from .spec import Spec
from .statistics import MIN_SEEDS, Interval

ANTIALIASED, BILINEAR = "antialiased", "bilinear"
LEARNED, FULL = "learned", "full size"
# From this output size on, the small model has ImageNet's stem, whose stride is 4.
_LARGE = 56
_STEM_STRIDE = 4
# Sides of squares: more pixels a laptop does not train within the hour, with ImageNet's
# stem and with CIFAR's.
_MAX_SIDE, _MAX_SIDE_CIFAR = 224, 96
_WIDTH = 16
_CHANNELS = 3
_MIN_CLASSES = 2
_BATCH_SIZE = 64
_WARMUP_EPOCHS = 2
# What nobody would change a model for, in points.
_NEGLIGIBLE = 2.0
# A model that has learned is so far from guessing, as a share of the way to 100 %.
_LEARNED_SHARE = 0.2


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


class Probe(NamedTuple):
    """A comparison, and what its results are judged by.

    Attributes:
        spec (Spec): The comparison.
        chance (float): Top-1 accuracy (percent) of the most frequent class of the
            validation images.
    """

    spec: Spec
    chance: float


def make_probe(
    cfg: Config,
    name: str,
    output_size: tuple[int, int] | None = None,
    size: ProbeSize | None = None,
) -> Probe:
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
        InputError: If the config trains no classifier on images of one size and one
            class each, or the output size is not below the input size.
    """
    size = size or ProbeSize()
    if size.seeds < MIN_SEEDS:
        raise InputError(
            f"seeds must be {MIN_SEEDS} or more, for an interval, got {size.seeds}"
        )
    if size.epochs <= _WARMUP_EPOCHS:
        raise InputError(
            f"epochs must be above {_WARMUP_EPOCHS}, those of the warm-up, but got "
            f"{size.epochs}"
        )
    if (task := find_task(cfg)) != "classification":
        raise InputError(
            f"the probe is for classifiers, but the config {cfg.filename} is for {task}"
        )
    cfg = deepcopy(cfg)
    # Nothing is tested; what says the size of images looks there.
    cfg.test_dataloader = deepcopy(cfg.get("val_dataloader"))
    check_outline(cfg, "the config")
    enter_scope(cfg)
    input_size = fixed_input_size(cfg, "the config")
    model = build_model_to_count(cfg)
    if output_size is None:
        output_size = _find_output_size(model, input_size)
    if not _is_smaller(output_size, input_size):
        raise InputError(
            "the output size must be below the input size, "
            f"{show_size(input_size)}, but is {show_size(output_size)}"
        )
    num_classes = _find_num_classes(cfg, model)
    train, val, _ = DATALOADERS
    data = {name: _load_data(cfg, name) for name in (train, val)}
    check_datasets(cfg, model, dict(train=data[train][0], val=data[val][0]))
    _draw_images(cfg, train, *data[train], size.images)
    labels = _draw_images(cfg, val, *data[val], size.images)
    cfg.test_dataloader = deepcopy(cfg.val_dataloader)
    base = _make_config(cfg, size)
    arms = []
    for arm, (resizer, large) in _make_resizers(input_size, output_size).items():
        arm_cfg = deepcopy(base)
        arm_cfg.model = _make_model(cfg, resizer, large, num_classes)
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
    spec = Spec(name, None, None, arms, seeds, _WARMUP_EPOCHS, holdout=None)
    _, counts = np.unique(labels, return_counts=True)
    return Probe(spec, 100 * counts.max() / counts.sum())


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


def _find_num_classes(cfg: Config, model: Any) -> int:
    counts = find_heads(cfg, model)
    if not counts:
        raise InputError(
            "the config must say how many classes there are, as model.head.num_classes"
        )
    number = min(counts.values())
    if number < _MIN_CLASSES:
        raise InputError(
            f"model.head.num_classes must be {_MIN_CLASSES} or more, but is {number}"
        )
    return number


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
    imports = cfg.get("custom_imports") or {}
    made.merge_from_dict(
        dict(
            custom_imports=dict(
                imports=["mmresizer", *imports.get("imports", [])],
                allow_failed_imports=imports.get("allow_failed_imports", False),
            ),
            train_cfg=dict(by_epoch=True, max_epochs=size.epochs, val_interval=1),
            val_cfg=dict(),
            test_cfg=dict(),
            val_evaluator=dict(type="mmpretrain.Accuracy", topk=(1,)),
            test_evaluator=dict(type="mmpretrain.Accuracy", topk=(1,)),
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


def _load_data(cfg: Config, name: str) -> tuple[Any, np.ndarray]:
    """Loads the dataset of a dataloader, as far as no image is read.

    Returns:
        tuple[Any, np.ndarray]: The dataset with all that its files list, and which of
        these its config means.
    """
    dataset = cfg[name].dataset
    if "pipeline" not in dataset:
        raise InputError(
            f"{name}.dataset must be a dataset with a pipeline of its own, and no "
            f"wrapper, but is of type {dataset.get('type')!r}"
        )
    known = dataset.pop("indices", None)
    try:
        built = DATASETS.build(deepcopy(dataset))
        return built, _resolve_indices(known, len(built))
    except Exception as e:  # whatever is wrong with the data
        raise InputError(f"cannot load {name}.dataset ({one_line(e)})") from e


def _draw_images(
    cfg: Config, name: str, built: Any, chosen: np.ndarray, count: int
) -> np.ndarray:
    """Lets a dataset have ``count`` of its images, drawn at random, the same always.

    Returns:
        np.ndarray: Their labels.
    """
    if len(chosen) > count:
        drawn = np.random.default_rng(0).permutation(len(chosen))[:count]
        chosen = chosen[np.sort(drawn)]
    if len(chosen) < len(built):
        cfg[name].dataset.indices = chosen.tolist()
    labels = [built.get_cat_ids(int(i)) for i in chosen]
    if any(len(each) != 1 for each in labels):
        raise InputError(f"{name}.dataset must have one class for each image")
    return np.asarray(labels)[:, 0]


def _resolve_indices(known: Any, number: int) -> np.ndarray:
    """Returns the images that ``indices`` of mmengine's datasets means."""
    every = np.arange(number)
    if known is None:
        return every
    if isinstance(known, int):  # the first ones or, below 0, the last ones
        return every[:known] if known >= 0 else every[known:]
    return every[list(known)]


def _make_model(
    cfg: Config, resizer: dict[str, Any], large: bool, num_classes: int
) -> dict[str, Any]:
    own = cfg.model.get("data_preprocessor")
    mean = (own or cfg.get("data_preprocessor") or {}).get("mean")
    if mean and len(mean) != _CHANNELS:
        raise InputError(
            f"images must have {_CHANNELS} channels, but data_preprocessor.mean is "
            f"{mean}"
        )
    return dict(
        type="mmresizer.ResizerClassifier",
        **(dict(data_preprocessor=deepcopy(own)) if own else {}),
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
) -> dict[str, tuple[dict[str, Any], bool]]:
    """Returns the resizer of each arm, and whether its model has ImageNet's stem."""
    plain = dict(type="mmresizer.InterpolationResizer", output_size=output_size)
    learned = dict(plain, type="mmresizer.LearnedResizer")
    large = min(output_size) >= _LARGE
    full, full_is_large = find_full_size(input_size, output_size)
    return {
        ANTIALIASED: (dict(plain, antialias=True), large),
        BILINEAR: (dict(plain, antialias=False), large),
        # The form that pools what it sees of all pixels.
        LEARNED: (dict(learned, antialias=True, stem_stride=2), large),
        FULL: (dict(plain, antialias=True, output_size=full), full_is_large),
    }


def find_full_size(
    input_size: tuple[int, int], output_size: tuple[int, int]
) -> tuple[tuple[int, int], bool]:
    """Returns the size that stands for the full one, which a laptop can train.

    It is the input size or, if that has more pixels than a square of 224 px, one of the
    same proportions with so many. At outputs below 56 px and full sizes below four
    times the output the square has 96 px: the model has CIFAR's stem then, since
    ImageNet's would leave it fewer positions than the output has. The size never has
    fewer pixels than twice the sides of the output make, and is on no side below it.

    Args:
        input_size (tuple[int, int]): Height and width of the pipeline's images.
        output_size (tuple[int, int]): Height and width that a backbone would get.

    Returns:
        tuple[tuple[int, int], bool]: Height and width, and whether the model has
        ImageNet's stem.
    """

    def shrink(side: int) -> tuple[int, int]:
        area = max(side**2, 4 * math.prod(output_size))
        factor = math.sqrt(area / math.prod(input_size))
        pairs = zip(output_size, input_size, strict=True)
        factor = min(1.0, max(factor, *(o / i for o, i in pairs)))
        height, width = (round(factor * n) for n in input_size)
        return height, width

    full = shrink(_MAX_SIDE)
    enough = all(f >= _STEM_STRIDE * o for f, o in zip(full, output_size, strict=True))
    if min(output_size) >= _LARGE or enough:
        return full, True
    return shrink(_MAX_SIDE_CIFAR), False


def explain_probe(summary: dict[str, Any], chance: float) -> str:
    """Says what a probe found.

    Args:
        summary (dict[str, Any]): Of the comparison.
        chance (float): Top-1 accuracy (percent) of guessing.

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
    parts = [make_table(("arm", "output", "top-1 (%)", "GMAC"), rows)]
    found = {
        row["arm"]: Interval(*row["difference"])
        for row in summary["differences"]
        if row["baseline"] == ANTIALIASED
    }
    if {BILINEAR, LEARNED, FULL} <= found.keys():
        changes = {
            f"the full size, {arms[FULL]['output']}": FULL,
            "a learned resizer": LEARNED,
            "plain bilinear interpolation, PyTorch's default": BILINEAR,
        }
        header = (f"instead of antialiased {arms[ANTIALIASED]['output']}", "points")
        changed = [[what, show_difference(found[arm])] for what, arm in changes.items()]
        full = arms[FULL]["top1"][0]
        answer = _answer(found[FULL], found[LEARNED], full, chance)
        parts += [make_table(header, changed), f"**{answer}**"]
    else:
        parts.append("**No answer: too few runs have finished.**")
    if failures := summary["failures"]:
        run = failures[0]
        parts.append(
            f"Runs that have not finished, and do not count: {len(failures)}, such as "
            f"{run['arm']}, seed {run['seed']} ({run['reason']})."
        )
    parts.append(
        "Small models from scratch stand in for yours. Intervals: 95 %. The rival of a "
        "resizer is a larger image that costs as much: tools/compare.py trains both."
    )
    return "\n\n".join(parts)


def _answer(loss: Interval, gain: Interval, full: float, chance: float) -> str:
    if full - chance < _LEARNED_SHARE * (100 - chance):
        return (
            f"No answer: at the full size the small model reaches {full:.1f} %, where "
            f"guessing reaches {chance:.1f} %. It needs more images or epochs."
        )
    if loss.high < _NEGLIGIBLE:
        return f"Nothing to win: resizing loses less than {_NEGLIGIBLE:.0f} points."
    if gain.low > 0:
        won = f"{gain.mean:.1f} points ({gain.low:.1f} to {gain.high:.1f})"
        if loss.low > 0:
            return f"A resizer pays here: it wins {won} of {loss.mean:.1f} back."
        return (
            f"A resizer wins {won} here, though no loss by resizing was found: it adds "
            "capacity. Compare it with a larger backbone, too."
        )
    if loss.low <= 0:
        return (
            "Nothing to win was found: the loss by resizing cannot be told from zero. "
            f"It may be up to {loss.high:.1f} points."
        )
    harm = " It does harm." if gain.high < 0 else ""
    return (
        "There is something to win, but no gain of this resizer was found (at most "
        f"{max(gain.high, 0):.1f} points).{harm} Try a larger image."
    )
