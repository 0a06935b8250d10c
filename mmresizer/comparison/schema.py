"""The file of a comparison: its keys, and the types and ranges of their values."""

import os
import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from mmresizer.config.loading import load_config
from mmresizer.utils import InputError
from mmresizer.utils.errors import check_keys

from .statistics import MIN_SEEDS

_T = TypeVar("_T")
_WORDS = {str: "a string", bool: "True or False", int: "an int", dict: "a dict"}
_ITEMS = {str: "strings", int: "ints"}


@dataclass(kw_only=True)
class ArmEntry:
    """An arm as the file names it; see :func:`load_spec`."""

    name: str
    baseline: bool = False
    config: str | None = None
    resizer: dict | None = None
    options: dict | None = None
    match_flops: str | None = None
    output_size: int | None = None
    input_size: int | None = None

    def __post_init__(self) -> None:
        """Checks the name, and who sets the output size."""
        # Matplotlib leaves names that begin with "_" out of legends.
        if not re.fullmatch(r"[^\W_][\w .,+@-]*", self.name):
            raise InputError(
                "the name of an arm must be letters, digits, spaces and any of _.,+@-, "
                f"the first a letter or digit, but got {self.name!r}"
            )
        if None not in (self.match_flops, self.output_size):
            raise InputError(
                f"arm {self.name!r} must have match_flops or output_size, and not both"
            )


@dataclass(kw_only=True)
class Stage1:
    """What all arms start from."""

    options: dict | None = None
    checkpoint: str | None = None

    def __post_init__(self) -> None:
        """Finds the checkpoint."""
        if self.checkpoint is None:
            return
        if self.options is not None:
            raise InputError("stage1 must have options, or a checkpoint, and not both")
        path = os.path.expanduser(self.checkpoint)
        check_is_file("the stage-1 checkpoint", path)
        self.checkpoint = os.path.abspath(path)


@dataclass(kw_only=True)
class Holdout:
    """The part of the training set that is validated on."""

    fold: int
    num_splits: int

    @property
    def words(self) -> str:
        """The part in words."""
        return f"fold {self.fold} of {self.num_splits} of the training set"

    def __post_init__(self) -> None:
        """Checks the range."""
        if not 0 <= self.fold < self.num_splits or self.num_splits < 2:
            raise InputError(
                "holdout must be dict(fold=F, num_splits=N) with ints 0 <= F < N, "
                f"N > 1, but got {vars(self)!r}"
            )


@dataclass(kw_only=True)
class Sweep:
    """Which arms are repeated, and at which input sizes."""

    arms: list[str]
    input_sizes: list[int] = field(default_factory=list)


@dataclass(kw_only=True)
class SpecFile:
    """The file; see :func:`load_spec`."""

    config: str
    stage1: Stage1 | None = None
    options: dict | None = None
    arms: list[ArmEntry]
    seeds: list[int]
    warmup_epochs: int = 0
    holdout: Holdout | None = None
    sweep: Sweep | None = None

    def __post_init__(self) -> None:
        """Checks what does not depend on configs."""
        if not self.arms:
            raise InputError("arms must be a list of one or more dicts, but got []")
        if not all(0 <= seed < 2**32 for seed in self.seeds):
            raise InputError(
                "seeds must be a list of ints from 0 to 2**32 - 1, but got "
                f"{self.seeds!r}"
            )
        if len(set(self.seeds)) < max(MIN_SEEDS, len(self.seeds)):
            raise InputError(
                f"seeds must be {MIN_SEEDS} or more different ones, for an interval, "
                f"but got {self.seeds!r}"
            )
        if self.sweep is None:
            return
        known = [arm.name for arm in self.arms]
        if not self.sweep.arms or not set(self.sweep.arms) <= set(known):
            raise InputError(
                f"sweep.arms must be names of arms ({', '.join(known)}), but got "
                f"{self.sweep.arms!r}"
            )
        if not self.sweep.input_sizes:
            raise InputError("sweep.input_sizes must be a list of sizes, but got []")

    def all_arms(self) -> list[tuple[str, ArmEntry]]:
        """Returns the arms, those of the sweep at each of its sizes, with their bases.

        The base is an arm's name before the sweep adds the size to it.
        """
        swept = self.sweep or Sweep(arms=[])
        arms = []
        for arm in self.arms:
            if arm.name not in swept.arms:
                arms.append((arm.name, arm))
                continue
            for size in swept.input_sizes:
                name, other = f"{arm.name} {size} px", arm.match_flops
                if other in swept.arms:
                    other = f"{other} {size} px"
                entry = replace(arm, name=name, input_size=size, match_flops=other)
                arms.append((arm.name, entry))
        return arms


def read_spec_file(path: str, options: dict | None = None) -> SpecFile:
    """Reads and checks the file of a comparison.

    Args:
        path (str): Python file.
        options (dict, optional): Values by dotted key that override the file's.

    Raises:
        InputError: If a key or a value is at fault.
    """
    raw = load_config(path, options).to_dict()
    raw.pop("launcher", None)
    raw = {key: value for key, value in raw.items() if not key.startswith("_")}
    return _read(f"the spec {path!r}", SpecFile, raw)


def check_is_file(what: str, path: str) -> None:
    """Raises InputError if there is no such file."""
    if not os.path.isfile(path):
        raise InputError(
            f"{what} must be a file on this machine, but {path!r} is none, seen from "
            f"{os.getcwd()!r}"
        )


def _read(what: str, cls: type[_T], values: Any) -> _T:
    """Makes a dataclass of a dict."""
    keys = {key.name: key for key in fields(cls)}  # type: ignore[arg-type]
    if not isinstance(values, Mapping):
        raise InputError(
            f"{what} must be a dict of {', '.join(keys)}, but got {values!r}"
        )
    check_keys(what, values, keys)
    for name, key in keys.items():
        if name not in values and key.default is key.default_factory is MISSING:
            raise InputError(f"{what} has no `{name}`")
    hints = get_type_hints(cls)
    read = {
        name: _read_value(what, name, hints[name], value)
        for name, value in values.items()
    }
    return cls(**read)


def _read_value(what: str, name: str, hint: Any, value: Any) -> Any:
    if isinstance(hint, UnionType):  # with None
        if value is None:
            return None
        hint = get_args(hint)[0]
    if is_dataclass(hint):
        return _read(name, hint, value)  # type: ignore[arg-type]
    is_list = get_origin(hint) is list
    item = get_args(hint)[0] if is_list else hint
    if not is_list or isinstance(value, list | tuple):
        if is_dataclass(item):
            return [_read(f"an {name[:-1]}", item, each) for each in value]  # type: ignore[arg-type]
        # True is no int.
        if all(type(each) is item for each in (value if is_list else [value])):
            return list(value) if is_list else value
    words = f"a list of {_ITEMS.get(item, 'dicts')}" if is_list else _WORDS[item]
    raise InputError(f"{what}: {name} must be {words}, but got {value!r}")
