"""A training, built as mmengine's Runner would, before anything is trained.

What is at fault is found now, and not after hours of stage 1. No data are read.
"""

import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from copy import deepcopy
from functools import partial
from inspect import signature
from itertools import chain, islice
from typing import Any

from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import Registry
from mmengine.runner import Runner
from mmengine.utils import import_modules_from_strings
from torch import nn
from torch.utils.data import DataLoader

from mmresizer import registry
from mmresizer.analysis.costs import build_model_to_count, check_input_size
from mmresizer.config.checks import check_data
from mmresizer.config.data_checks import check_datasets
from mmresizer.models import IQAHead
from mmresizer.models.utils import check_initial_weights
from mmresizer.utils import InputError
from mmresizer.utils.errors import check_keys, one_line

from .runs import named_weights
from .schema import check_is_file

DATALOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")
# What a run sets itself, and what has to look at the data.
_LEFT_OUT = (
    "num_workers",
    "persistent_workers",
    "prefetch_factor",
    "multiprocessing_context",
    "batch_sampler",
)


def check_outline(cfg: Config, who: str) -> None:
    """Checks that a config trains and validates a classifier by epochs.

    Args:
        cfg (Config): Config of the training.
        who (str): What it is of, for messages.

    Raises:
        InputError: If it does not.
    """

    def demand(key: str, accepts: str, holds: Callable[[Any], bool]) -> None:
        value: Any = cfg
        for part in key.strip("`").split("."):
            value = value.get(part)
        if not holds(value):
            raise InputError(f"{who}: {key} must be {accepts}, but is {value!r}")

    for key in ("model", "train_cfg", *DATALOADERS):
        demand(f"`{key}`", "a dict", lambda value: isinstance(value, Mapping))
    demand(
        "train_cfg.max_epochs",
        "an int of 1 or more, as a comparison trains by epochs",
        _is_count,
    )
    for key in DATALOADERS:
        accepts = "an int of 1 or more"
        demand(f"{key}.batch_size", accepts, lambda n: n is None or _is_count(n))
    demand("custom_hooks", "a list", lambda v: v is None or isinstance(v, list | tuple))
    accepts = "a dict or a list of them"
    demand("val_evaluator", accepts, lambda v: v and isinstance(v, Mapping | list))
    head = cfg.model.get("head") or {}
    if registry.find_class(registry.MODELS, head.get("type")) is IQAHead:
        raise InputError(
            f"{who}: a comparison is of top-1 accuracies and needs a classifier, but "
            f"the head is of type {head['type']!r}"
        )
    if imports := cfg.get("custom_imports"):  # those of options, imported by nobody yet
        what = f"custom_imports of {who}"
        _attempt(what, partial(import_modules_from_strings, **imports))
    accepts = "a training loop, such as EpochBasedTrainLoop"
    kind = cfg.train_cfg.get("type", "EpochBasedTrainLoop")
    loop = registry.LOOPS.get(kind) if isinstance(kind, str) else kind
    demand("train_cfg.type", accepts, lambda _: loop is not None)


def dry_build(cfg: Config, who: str, start: str | None) -> nn.Module:
    """Builds the parts of a training.

    Args:
        cfg (Config): Config of the training, for which :func:`check_outline` holds.
        who (str): What it is of, for messages.
        start (str, optional): The weights it starts from, if they are there already.

    Returns:
        nn.Module: The model, see :func:`build_model_to_count`.

    Raises:
        InputError: If a part cannot be built, or data or weights are missing.
    """
    for path in named_weights({**cfg.to_dict(), "load_from": start}):
        if "://" not in path:
            check_is_file(f"{who}: a checkpoint", path)
    try:
        check_data(cfg, "train_dataloader", "val_dataloader")
        check_input_size(cfg)
        model = build_model_to_count(cfg)
        if start is not None and "://" not in start:
            check_initial_weights(model, start)
    except InputError as e:
        raise InputError(f"{who}: {e}") from e
    datasets = {}
    for name in DATALOADERS:
        what, dataset = f"{name}.dataset of {who}", cfg[name].get("dataset")
        datasets[name.removesuffix("_dataloader")] = _build_datasets(what, dataset)
        _build_dataloader(cfg[name], name, who)
    try:
        check_datasets(cfg, model, datasets)
    except InputError as e:
        raise InputError(f"{who}: {e}") from e
    loop = {"type": "EpochBasedTrainLoop", **cfg.train_cfg}
    loop.pop("by_epoch", None)
    what = f"{who}: train_cfg"  # only a Runner can build it
    _bind(what, _find(what, registry.LOOPS, loop), loop, runner=None, dataloader=None)
    for i, hook in enumerate(cfg.get("custom_hooks") or []):
        if isinstance(hook, Mapping):
            hook = {key: value for key, value in hook.items() if key != "priority"}
        _build(f"custom_hooks[{i}] of {who}", registry.HOOKS, hook)
    evaluators = cfg.val_evaluator
    if isinstance(evaluators, Mapping):
        evaluators = evaluators.get("metrics", evaluators)  # those of an Evaluator
    for metric in _as_list(evaluators):
        _build(f"val_evaluator of {who}", registry.METRICS, metric)
    optimizer = _attempt(
        f"optim_wrapper of {who}",
        lambda: build_optim_wrapper(model, deepcopy(cfg.optim_wrapper)),
    )
    given = dict(optimizer=optimizer, epoch_length=1)
    for part in _as_list(cfg.get("param_scheduler")):
        _build(f"param_scheduler of {who}", registry.PARAM_SCHEDULERS, part, **given)
    return model


def takes_all_in_order(loader: Mapping) -> bool:
    """Says whether a dataloader, from its config, gives each image once, in order."""
    built = _build_dataloader(loader, "dataloader", "validation")
    count = len(built.dataset)  # type: ignore[arg-type]
    indices = chain.from_iterable(built.batch_sampler)  # type: ignore[arg-type]
    return list(islice(indices, count + 1)) == list(range(count))


def _is_count(value: Any) -> bool:
    return type(value) is int and value > 0


def _as_list(parts: Any) -> Sequence:
    return [parts] if isinstance(parts, Mapping) else parts or []


def _build_datasets(what: str, dataset: Any) -> list:
    """Builds a dataset, or those in a wrapper, as far as it goes without reading."""
    if not isinstance(dataset, Mapping):
        return []
    for transform in dataset.get("pipeline") or []:
        _build(f"a transform of {what}", registry.TRANSFORMS, transform)
    inner = _as_list(dataset.get("dataset", dataset.get("datasets")))
    cls = _find(what, registry.DATASETS, dataset)
    if not inner and "lazy_init" in _arguments(cls):
        return [_build(what, registry.DATASETS, dataset, lazy_init=True)]
    _bind(what, cls, dataset)  # a wrapper reads what is in it
    return [built for each in inner for built in _build_datasets(what, each)]


def _build_dataloader(loader: Mapping, name: str, who: str) -> DataLoader:
    """Builds a dataloader, with numbers in place of its data."""
    # One more than whole batches, which a loader that drops the last one lacks.
    data = range(64 * loader.get("batch_size", 1) + 1)
    parts = {k: v for k, v in loader.items() if k not in _LEFT_OUT} | {"dataset": data}
    if "sampler" in parts:
        what, given = f"{name}.sampler of {who}", dict(dataset=data, seed=0)
        try:
            sampler = _build(what, registry.DATA_SAMPLERS, parts["sampler"], **given)
        except InputError as e:
            if not isinstance(e.__cause__, AttributeError):
                raise
            sampler = None  # it asks the data for more than their number
        parts["sampler"] = sampler
    build = partial(Runner.build_dataloader, parts, seed=0)
    return _attempt(f"{who}: {name}", build, parts, _arguments(DataLoader))


def _find(what: str, registry: Registry, part: Mapping) -> Any:
    kind = part.get("type")
    cls = registry.get(kind) if isinstance(kind, str) else kind
    if cls is None:
        raise InputError(f"{what}: there is no type {kind!r}")
    return cls


def _build(what: str, registry: Registry, part: Any, **given: Any) -> Any:
    """Builds a part from its config; what is none is built already."""
    if not isinstance(part, Mapping):
        return part
    accepted = _arguments(_find(what, registry, part)) - {*given}
    build = partial(registry.build, deepcopy(dict(part)), default_args=given)
    return _attempt(what, build, part, accepted)


def _bind(what: str, cls: Any, part: Mapping, **given: Any) -> None:
    """Checks the names of the arguments of what cannot be built yet."""
    arguments = {k: v for k, v in part.items() if k not in ("type", "_scope_")}
    bind = partial(signature(cls).bind, **given, **arguments)
    _attempt(what, bind, part, _arguments(cls) - {*given})


def _attempt(
    what: str,
    build: Callable[[], Any],
    part: Container[str] = (),
    accepted: Iterable[str] = (),
) -> Any:
    try:
        return build()
    except Exception as e:  # whatever a constructor raises on its arguments
        reason = one_line(e)
        unknown = re.search(r"unexpected keyword argument '(\w+)'", reason)
        if accepted and unknown and unknown[1] in part:
            check_keys(what, unknown.groups(), sorted(accepted))
        kind = "" if isinstance(e, InputError) else f"{type(e).__name__}: "
        raise InputError(f"cannot build {what} ({kind}{reason})") from e


def _arguments(cls: Any) -> set[str]:
    """Returns the names of the arguments of a class; empty if it takes any name."""
    names: set[str] = set()
    for base in cls.__mro__ if isinstance(cls, type) else ():
        if "__init__" in vars(base):
            parameters = signature(vars(base)["__init__"]).parameters
            names |= parameters.keys() - {"self", "args", "kwargs"}
            if all(p.kind is not p.VAR_KEYWORD for p in parameters.values()):
                return names
    return set()
