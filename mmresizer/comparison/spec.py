"""The spec of a comparison: which arms are trained, from which weights, how often."""

import math
import os
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cache, partial
from inspect import signature
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import Registry
from mmengine.runner import Runner
from mmengine.utils import import_modules_from_strings
from torch import nn
from torch.utils.data import DataLoader

from mmresizer.analysis.costs import (
    build_model_to_count,
    check_input_size,
    input_size,
    model_costs,
)
from mmresizer.config.checks import check_data
from mmresizer.config.loading import load_config, load_named_config
from mmresizer.models.utils import check_initial_weights, get_resizer
from mmresizer.registry import (
    DATA_SAMPLERS,
    DATASETS,
    HOOKS,
    LOOPS,
    METRICS,
    PARAM_SCHEDULERS,
    TRANSFORMS,
)
from mmresizer.utils import InputError

from .runs import named_weights
from .statistics import MIN_SEEDS

_SPEC_KEYS = (
    "config",
    "stage1",
    "options",
    "arms",
    "seeds",
    "warmup_epochs",
    "holdout",
    "sweep",
)
_ARM_KEYS = (
    "name",
    "baseline",
    "config",
    "resizer",
    "options",
    "match_flops",
    "input_size",
)
_STAGE1_KEYS = ("options", "checkpoint")
_SCHEDULER_KEYS = ("convert_to_iter_based",)  # of the Runner, not of a class
_HOLDOUT_KEYS = ("fold", "num_splits")
_SWEEP_KEYS = ("arms", "input_sizes")
# What mmengine takes besides the arguments of torch's DataLoader.
_DATALOADER_KEYS = ("diff_rank_seed", "num_batch_per_epoch", "indices", "_scope_")
_DATALOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")
# What of a dataloader has no effect on the images and their order.
_SPEED_KEYS = (
    "batch_size",
    "num_workers",
    "persistent_workers",
    "pin_memory",
    "prefetch_factor",
)


@dataclass(frozen=True)
class Arm:
    """One variant of the model.

    Attributes:
        name (str): Unique in the comparison.
        baseline (bool): Whether the others are compared with it.
        cfg (Config): Config of its training, without seed and folder.
        base (str): The name without the input size in a sweep, else the name.
        input_size (tuple[int, int]): Height and width of the pipeline's images.
        output_size (tuple[int, int]): Height and width of the resizer's images.
        macs (int): Multiply-accumulates of the model for one image.
    """

    name: str
    baseline: bool
    cfg: Config = field(repr=False)
    base: str
    input_size: tuple[int, int]
    output_size: tuple[int, int]
    macs: int

    @property
    def folder(self) -> str:
        """Name of the folder for its runs."""
        return re.sub(r"[^\w.+@-]+", "-", self.name)


@dataclass(frozen=True)
class Spec:
    """A comparison, resolved and checked.

    Attributes:
        name (str): Of the file.
        stage1 (Config, optional): Config of the baseline that is trained first.
        checkpoint (str, optional): The baseline's weights, where they are given.
        arms (list[Arm]): In the order of the spec.
        seeds (list[int]): Each arm is trained with each.
        warmup_epochs (int): Epochs at the start of an arm in which a drop of the
            accuracy does not count.
        holdout (str, optional): Which part of the training set is validated on, in
            words; without it, the validation set is.
    """

    name: str
    stage1: Config | None
    checkpoint: str | None
    arms: list[Arm]
    seeds: list[int]
    warmup_epochs: int
    holdout: str | None

    @property
    def baselines(self) -> list[Arm]:
        """The arms that the others are compared with."""
        return [arm for arm in self.arms if arm.baseline]


def load_spec(path: str, options: dict | None = None) -> Spec:
    """Loads and checks the spec of a comparison.

    The keys of the file; names that start with an underscore are the file's own:

    - ``config``: the baseline, a file (seen from the spec) or ``mmresizer::...``.
    - ``stage1``: ``dict(options={...})`` trains ``config`` first, once a seed, and
      every arm starts from those weights; ``dict(checkpoint="...")`` names a file of
      weights for all. Without it each arm starts as its config says. What weights do
      not have, such as a head for other classes, each arm draws anew.
    - ``options``: settings by dotted key that all arms share.
    - ``arms``: dicts with ``name``, ``baseline`` (whether it is one), ``config`` (in
      place of the shared one), ``resizer`` (merged into ``model.resizer``),
      ``options``, ``match_flops`` (name of the arm whose multiply-accumulates the size
      of this one's output is to match) and ``input_size`` (images are shrunk to it).
    - ``seeds``: at least two.
    - ``warmup_epochs``: see :class:`Spec`. Defaults to 0.
    - ``holdout``: ``dict(fold=0, num_splits=5)`` trains without a fifth of the training
      set and validates on it.
    - ``sweep``: ``dict(arms=[...], input_sizes=[...])`` repeats arms at each size.

    Args:
        path (str): Python file.
        options (dict, optional): Values by dotted key that override the file's.

    Raises:
        InputError: If the spec, a config, the data or the weights are at fault.
    """
    raw = load_config(path, options).to_dict()
    raw.pop("launcher", None)
    raw = {key: value for key, value in raw.items() if not key.startswith("_")}
    _check_keys(f"the spec {path!r}", raw, _SPEC_KEYS)
    for key in ("config", "arms", "seeds"):
        if key not in raw:
            raise InputError(f"the spec {path!r} has no `{key}`")
    seeds = _read_seeds(raw["seeds"])

    folder = Path(path).parent
    stage1, checkpoint = None, None
    if raw.get("stage1") is not None:
        _check_keys("stage1", raw["stage1"], _STAGE1_KEYS)
        checkpoint = _read_checkpoint(raw["stage1"])
        if checkpoint is None:
            stage1 = _read_config(folder, raw["config"])
            _merge(stage1, "stage1.options", raw["stage1"].get("options"))
            _check_training(stage1, "stage 1")
            _hold_out(stage1, raw.get("holdout"))
            _check_model(stage1, "stage 1", stage1.get("load_from"))

    entries = _sweep(_read_arms(raw["arms"]), raw.get("sweep"))
    arms: dict[str, Arm] = {}
    matched = {entry["name"] for entry in entries if _matches_flops(entry)}
    # Those that match another's cost need it first.
    for entry in sorted(entries, key=_matches_flops):
        cfg = _read_config(folder, entry.get("config", raw["config"]))
        _merge(cfg, "options", raw.get("options"))
        _merge(cfg, f"resizer of {entry['name']!r}", entry.get("resizer"), "resizer")
        _merge(cfg, f"options of {entry['name']!r}", entry.get("options"))
        _check_training(cfg, f"arm {entry['name']!r}")
        _hold_out(cfg, raw.get("holdout"))
        own = cfg.get("load_from") if stage1 is None else None
        arms[entry["name"]] = _resolve(entry, cfg, arms, matched, checkpoint or own)
    spec = Spec(
        name=Path(path).stem,
        stage1=stage1,
        checkpoint=checkpoint,
        arms=[arms[entry["name"]] for entry in entries],
        seeds=seeds,
        warmup_epochs=raw.get("warmup_epochs", 0),
        holdout=_describe_holdout(raw.get("holdout")),
    )
    _check_arms(spec, entries)
    return spec


def _check_keys(what: str, value: Any, accepted: Sequence[str]) -> None:
    if not isinstance(value, Mapping):
        raise InputError(
            f"{what} must be a dict of {', '.join(accepted)}, but got {value!r}"
        )
    for key in value:
        if key not in accepted:
            raise InputError(
                f"{what} has an unknown key {key!r}; accepted are {', '.join(accepted)}"
            )


def _read_seeds(seeds: Any) -> list[int]:
    is_list = isinstance(seeds, list | tuple)
    if not is_list or not all(type(s) is int and 0 <= s < 2**32 for s in seeds):
        raise InputError(
            f"seeds must be a list of ints from 0 to 2**32 - 1, but got {seeds!r}"
        )
    if len(set(seeds)) < max(MIN_SEEDS, len(seeds)):
        raise InputError(
            f"seeds must be {MIN_SEEDS} or more different ones, for an interval, but "
            f"got {list(seeds)!r}"
        )
    return list(seeds)


def _read_arms(arms: Any) -> list[dict]:
    if not isinstance(arms, list | tuple) or not arms:
        raise InputError(f"arms must be a list of one or more dicts, but got {arms!r}")
    for arm in arms:
        _check_keys("an arm", arm, _ARM_KEYS)
        name, baseline = arm.get("name"), arm.get("baseline", False)
        if not isinstance(baseline, bool):
            raise InputError(f"baseline must be True or False, but got {baseline!r}")
        if not isinstance(name, str) or not re.fullmatch(r"\w[\w .,+@-]*", name):
            raise InputError(
                "the name of an arm must be letters, digits, spaces and any of _.,+@-, "
                f"but got {name!r}"
            )
    return [dict(arm) for arm in arms]


def _matches_flops(entry: dict) -> bool:
    return entry.get("match_flops") is not None


def _read_checkpoint(stage1: Mapping) -> str | None:
    checkpoint = stage1.get("checkpoint")
    if checkpoint is None:
        return None
    if "options" in stage1:
        raise InputError("stage1 must have options, or a checkpoint, and not both")
    path = Path(str(checkpoint)).expanduser()
    if not path.is_file():
        raise InputError(
            "the stage-1 checkpoint must be a file on this machine, but "
            f"{checkpoint!r} is none, seen from {os.getcwd()!r}"
        )
    return str(path.absolute())


def _check_training(cfg: Config, who: str) -> None:
    """Checks that a config trains and validates by epochs."""
    for key in ("model", *_DATALOADERS):
        if not isinstance(cfg.get(key), Mapping):
            raise InputError(
                f"{who}: `{key}` must be a dict, but is {cfg.get(key)!r}; a comparison "
                "trains and validates after each epoch"
            )
    epochs = (cfg.get("train_cfg") or {}).get("max_epochs")
    if type(epochs) is not int or epochs < 1:
        raise InputError(
            f"{who}: train_cfg.max_epochs must be an int of 1 or more, but is "
            f"{epochs!r}; a comparison trains by epochs"
        )
    if imports := cfg.get("custom_imports"):  # those of options, imported by nobody yet
        what = f"custom_imports of {who}"
        _build(what, lambda: import_modules_from_strings(**imports))
    kind = cfg.train_cfg.get("type", "EpochBasedTrainLoop")
    loop = kind if isinstance(kind, type) else LOOPS.get(str(kind))
    if loop is None:
        raise InputError(
            f"{who}: train_cfg.type must be a training loop, such as "
            f"EpochBasedTrainLoop, but got {kind!r}"
        )
    accepted = {*signature(loop).parameters} - {"runner", "dataloader"}
    accepted |= {"type", "_scope_", "by_epoch"}
    _check_keys(f"{who}: train_cfg", cfg.train_cfg, sorted(accepted))
    for name in _DATALOADERS:
        _check_dataloader(cfg[name], name, who)
    hooks = cfg.get("custom_hooks") or []
    if not isinstance(hooks, list | tuple):
        raise InputError(f"{who}: custom_hooks must be a list, but is {hooks!r}")
    for i, hook in enumerate(hooks):
        _check_arguments(f"custom_hooks[{i}] of {who}", hook, HOOKS, ["priority"])
    evaluators = cfg.get("val_evaluator")
    if not evaluators or not isinstance(evaluators, Mapping | list):
        raise InputError(
            f"{who}: val_evaluator must be a dict or a list of them, but is "
            f"{evaluators!r}"
        )
    if isinstance(evaluators, Mapping):
        evaluators = evaluators.get("metrics", evaluators)  # those of an Evaluator
    for part in [evaluators] if isinstance(evaluators, Mapping) else evaluators:
        _check_arguments(f"val_evaluator of {who}", part, METRICS)
    schedulers = cfg.get("param_scheduler") or []
    for scheduler in [schedulers] if isinstance(schedulers, Mapping) else schedulers:
        _check_arguments(
            f"param_scheduler of {who}", scheduler, PARAM_SCHEDULERS, _SCHEDULER_KEYS
        )
    head = (cfg.get("model") or {}).get("head") or {}
    if str(head.get("type")).endswith("IQAHead"):
        raise InputError(
            f"{who}: a comparison is of top-1 accuracies and needs a classifier, but "
            f"the head is of type {head['type']!r}"
        )


def _check_dataloader(loader: Mapping, name: str, who: str) -> None:
    accepted = {*signature(DataLoader).parameters, *_DATALOADER_KEYS}
    _check_keys(f"{who}: {name}", loader, sorted(accepted))
    batch_size = loader.get("batch_size", 1)
    if type(batch_size) is not int or batch_size < 1:
        raise InputError(
            f"{who}: {name}.batch_size must be an int of 1 or more, but is "
            f"{batch_size!r}"
        )
    _check_arguments(f"{name}.sampler of {who}", loader.get("sampler"), DATA_SAMPLERS)
    dataset, what = loader.get("dataset"), f"{name}.dataset of {who}"
    while isinstance(dataset, Mapping):  # inside any wrappers
        _check_arguments(what, dataset, DATASETS)
        for transform in dataset.get("pipeline") or []:
            _check_arguments(f"a transform of {what}", transform, TRANSFORMS)
        dataset = dataset.get("dataset")


def _check_arguments(
    what: str, part: Any, registry: Registry, more: Sequence[str] = ()
) -> None:
    """Checks the arguments of what is built late, maybe after hours of stage 1."""
    if not isinstance(part, Mapping) or not isinstance(part.get("type"), str):
        return  # objects, which are built already, and classes
    cls = registry.get(part["type"])
    if cls is None:
        raise InputError(f"{what}: there is no type {part['type']!r}")
    accepted = {"type", "_scope_", *more}
    for base in cls.__mro__ if isinstance(cls, type) else ():
        if "__init__" not in vars(base) or base is object:
            continue
        parameters = signature(vars(base)["__init__"]).parameters
        accepted |= {*parameters} - {"self", "args", "kwargs"}
        if all(p.kind is not p.VAR_KEYWORD for p in parameters.values()):
            _check_keys(what, part, sorted(accepted))
            # Our hooks and transforms check values at once, and touch nothing else.
            if registry is DATASETS or not cls.__module__.startswith("mmresizer."):
                return
            break
    # What takes any name says itself which ones it has a use for.
    arguments = {key: part[key] for key in part if key not in more}
    _build(what, partial(registry.build, deepcopy(arguments)))


def _build(what: str, build: Callable[[], Any]) -> None:
    try:
        build()
    except Exception as e:  # whatever a constructor raises on its arguments
        kind = "" if isinstance(e, InputError) else f"{type(e).__name__}: "
        reason = " ".join(str(e).split())
        raise InputError(f"cannot build {what} ({kind}{reason})") from e


def _check_model(cfg: Config, who: str, start: str | None) -> nn.Module:
    for path in named_weights({**cfg.to_dict(), "load_from": start}):
        if "://" not in path and not os.path.isfile(path):
            raise InputError(
                f"{who}: a checkpoint must be a file on this machine, but {path!r} is "
                f"none, seen from {os.getcwd()!r}"
            )
    try:
        check_data(cfg, "train_dataloader", "val_dataloader")
        check_input_size(cfg)
        model = build_model_to_count(cfg)
        if start is not None and "://" not in start:
            check_initial_weights(model, start)
    except InputError as e:
        raise InputError(f"{who}: {e}") from e
    options = deepcopy(cfg.optim_wrapper)
    _build(f"optim_wrapper of {who}", partial(build_optim_wrapper, model, options))
    return model


def _sweep(arms: list[dict], sweep: Any) -> list[dict]:
    """Returns the arms, those of the sweep at each of its input sizes."""
    if sweep is None:
        return arms
    _check_keys("sweep", sweep, _SWEEP_KEYS)
    sizes, names = sweep.get("input_sizes"), sweep.get("arms")
    known = [arm["name"] for arm in arms]
    is_list = isinstance(names, list | tuple) and names
    if not is_list or not all(name in known for name in names):
        raise InputError(
            f"sweep.arms must be names of arms ({', '.join(known)}), but got {names!r}"
        )
    if not isinstance(sizes, list | tuple) or not sizes:
        raise InputError(f"sweep.input_sizes must be a list of sizes, got {sizes!r}")
    swept = []
    for arm in arms:
        if arm["name"] not in names:
            swept.append(arm)
            continue
        for size in sizes:
            name = f"{arm['name']} {size} px"
            entry = {**arm, "name": name, "base": arm["name"], "input_size": size}
            if arm.get("match_flops") in names:
                entry["match_flops"] = f"{arm['match_flops']} {size} px"
            swept.append(entry)
    return swept


def _read_config(folder: Path, name: str) -> Config:
    if not isinstance(name, str):
        raise InputError(
            f"config must be a file or 'mmresizer::FAMILY/FILE.py', but got {name!r}"
        )
    return load_named_config(name, folder)


def _merge(cfg: Config, what: str, values: Any, key: str | None = None) -> None:
    if values is None:
        return
    if not isinstance(values, Mapping):
        raise InputError(f"{what} must be a dict, but got {values!r}")
    values = {f"model.{key}": values} if key else values
    known = {*cfg, *signature(Runner).parameters}
    for name in values:
        if str(name).partition(".")[0] not in known:
            raise InputError(
                f"{what} have {name!r}, which no config has; accepted are settings "
                f"below {', '.join(sorted(known - {'self'}))}"
            )
    try:
        cfg.merge_from_dict(deepcopy(dict(values)))
    except (TypeError, KeyError, AttributeError) as e:
        reason = " ".join(str(e).split())
        raise InputError(f"{what} do not fit the config ({reason})") from e


def _hold_out(cfg: Config, holdout: Any) -> None:
    """Replaces the validation set by a part of the training set."""
    if holdout is None:
        return
    _check_keys("holdout", holdout, _HOLDOUT_KEYS)
    fold, splits = (holdout.get(key) for key in _HOLDOUT_KEYS)
    if (
        type(fold) is not int
        or type(splits) is not int
        or not 0 <= fold < splits
        or splits < 2
    ):
        raise InputError(
            "holdout must be dict(fold=F, num_splits=N) with ints 0 <= F < N, N > 1, "
            f"but got {dict(holdout)!r}"
        )
    train = cfg.train_dataloader.dataset
    if "pipeline" not in train or "pipeline" not in cfg.val_dataloader.dataset:
        raise InputError(
            "holdout needs a dataset that has its own pipeline, and no wrapper, but "
            f"train_dataloader.dataset is of type {train.get('type')!r}"
        )
    val = deepcopy(train)
    val.pipeline = cfg.val_dataloader.dataset.pipeline
    split = dict(type="KFoldDataset", fold=fold, num_splits=splits, seed=0)
    cfg.train_dataloader.dataset = dict(**split, dataset=train, test_mode=False)
    for name in _DATALOADERS[1:]:
        cfg[name].dataset = dict(**split, dataset=deepcopy(val), test_mode=True)


def _describe_holdout(holdout: Any) -> str | None:
    if holdout is None:
        return None
    return f"fold {holdout['fold']} of {holdout['num_splits']} of the training set"


def _set_input_size(cfg: Config, size: Any) -> None:
    delivered = input_size(cfg)
    limit = min(delivered) if delivered else None
    if type(size) is not int or size < 1 or (limit and size > limit):
        raise InputError(
            "input_size must be an int of 1 or more and not above what the pipeline "
            f"delivers ({limit}), but got {size!r}"
        )
    if delivered == (size, size):
        return
    # Area interpolation uses all pixels: what a smaller input lacks is resolution.
    shrink = dict(type="Resize", scale=(size, size), interpolation="area")
    for name in _DATALOADERS:
        dataset = cfg[name].dataset
        while "pipeline" not in dataset:
            if not isinstance(dataset.get("dataset"), Mapping):
                raise InputError(
                    f"input_size needs a dataset with a pipeline, but {name} has one "
                    f"of type {dataset.get('type')!r}"
                )
            dataset = dataset.dataset
        *steps, pack = dataset.pipeline
        dataset.pipeline = [*steps, shrink, pack]


def _resolve(
    entry: dict,
    cfg: Config,
    arms: dict[str, Arm],
    matched: set[str],
    start: str | None,
) -> Arm:
    """Checks an arm, which starts from the weights ``start``, if they are known yet."""
    name = entry["name"]
    if entry.get("input_size") is not None:
        _set_input_size(cfg, entry["input_size"])
    model = _check_model(cfg, f"arm {name!r}", start)
    size = input_size(cfg)
    if size is None:
        raise InputError(f"the test pipeline of arm {name!r} must deliver a fixed size")
    arm = Arm(
        name=name,
        baseline=entry.get("baseline", False),
        cfg=cfg,
        base=entry.get("base", name),
        input_size=size,
        output_size=get_resizer(model).get_output_size(size),
        macs=model_costs(model, size).total.macs,
    )
    if not _matches_flops(entry):
        return arm
    other = entry["match_flops"]
    plain = [name for name in arms if name not in matched]
    if other not in plain:
        raise InputError(
            f"match_flops of arm {name!r} must be the name of an arm without "
            f"match_flops ({', '.join(plain)}), but got {other!r}"
        )
    return match_flops(arm, arms[other].macs)


def match_flops(arm: Arm, macs: int) -> Arm:
    """Enlarges an arm's output until its model costs the same as another.

    Args:
        arm (Arm): With a square output; its resizer is to cost little.
        macs (int): Multiply-accumulates to come close to.

    Returns:
        Arm: That of all output sizes which the backbone takes, up to the size of the
        input, whose cost is the nearest.

    Raises:
        InputError: If it costs more already, or no larger size fits.
    """
    if arm.macs > macs:
        raise InputError(
            f"arm {arm.name!r} costs {arm.macs / 1e9:.4f} GMAC already, more than the "
            f"{macs / 1e9:.4f} that it is to match"
        )
    if arm.output_size[0] != arm.output_size[1]:
        raise InputError(
            f"arm {arm.name!r} must have a square output for match_flops, but it has "
            f"{arm.output_size[0]}x{arm.output_size[1]}"
        )
    sizes = range(arm.output_size[0] + 1, min(arm.input_size) + 1)

    @cache
    def resized(size: int) -> Arm | None:
        cfg = deepcopy(arm.cfg)
        cfg.model.resizer.pop("scale_factor", None)
        cfg.model.resizer.output_size = size
        try:
            cost = model_costs(cfg, arm.input_size).total.macs
        except InputError:  # a size that the backbone does not take
            return None
        return replace(arm, cfg=cfg, output_size=(size, size), macs=cost)

    def next_cost(size: int) -> float:
        larger = map(resized, range(size, sizes.stop))
        return next((each.macs for each in larger if each), math.inf)

    # Costs grow with the size: the two on either side of `macs` are found by bisection.
    above = bisect_right(sizes, float(macs), key=next_cost)
    costs = [next_cost(size) for size in sizes[max(above - 1, 0) : above + 1]]
    nearest = min(costs, key=lambda cost: abs(cost - macs), default=math.inf)
    if abs(nearest - macs) >= abs(arm.macs - macs):
        raise InputError(
            f"arm {arm.name!r} has no larger output size, up to its input of "
            f"{arm.input_size[0]}x{arm.input_size[1]}, that comes closer to "
            f"{macs / 1e9:.4f} GMAC"
        )
    first = bisect_left(sizes, nearest, key=next_cost)
    return next(each for each in map(resized, sizes[first:]) if each)


def _check_arms(spec: Spec, entries: list[dict]) -> None:
    warmup = spec.warmup_epochs
    epochs = min(arm.cfg.train_cfg.max_epochs for arm in spec.arms)
    if type(warmup) is not int or not 0 <= warmup < epochs:
        raise InputError(
            f"warmup_epochs must be an int from 0 to {epochs - 1}, one less than the "
            f"epochs of an arm, but got {warmup!r}"
        )
    names = [entry["name"] for entry in entries]
    # Some file systems do not tell capitals from small letters.
    folders = [arm.folder.casefold() for arm in spec.arms]
    for i, name in enumerate(names):
        if folders[i] in (*folders[:i], "stage1"):
            raise InputError(
                "the names of arms must be unique, as folders too, but "
                f"{folders[i]!r}, of arm {name!r}, is taken already"
            )
    if not spec.baselines:
        raise InputError("at least one arm must be a baseline (baseline=True)")
    if len(names) < 2:
        raise InputError(f"arms must be two or more, to be compared, but got {names}")
    sizes = {
        arm.name: arm.output_size
        for arm, entry in zip(spec.arms, entries, strict=True)
        if not _matches_flops(entry)
    }
    first, size = next(iter(sizes.items()), ("", (0, 0)))
    for name, other in sizes.items():
        if other != size:
            raise InputError(
                f"arm {name!r} has the output size {other[0]}x{other[1]}, but "
                f"{first!r} has {size[0]}x{size[1]}: an arm differs in it only with "
                "match_flops"
            )
    validation: dict[tuple, tuple[str, Any]] = {}
    for arm in spec.arms:
        loader = arm.cfg.val_dataloader
        data = {k: v for k, v in loader.to_dict().items() if k not in _SPEED_KEYS}
        first, other = validation.setdefault(arm.input_size, (arm.name, data))
        if data != other or _shuffles(loader) or loader.get("drop_last"):
            raise InputError(
                f"arm {arm.name!r} must be validated on the images of {first!r}, all "
                "of them and none in random order (a sampler with shuffle=False, no "
                "drop_last): differences are paired by image"
            )


def _shuffles(loader: Mapping) -> bool:
    """Says whether a dataloader's sampler has a random order, which most do unasked."""
    sampler = loader.get("sampler")
    if not isinstance(sampler, Mapping):  # an object, or torch's order without one
        return False
    kind = sampler["type"]
    kind = DATA_SAMPLERS.get(kind) if isinstance(kind, str) else kind
    parameter = signature(kind).parameters.get("shuffle")
    return bool(sampler.get("shuffle", parameter.default if parameter else False))
