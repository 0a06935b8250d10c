"""A comparison: which arms are trained, from which weights, how often."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

from mmresizer.analysis.costs import fixed_input_size, input_size, model_costs
from mmresizer.config.loading import load_named_config
from mmresizer.models.utils import get_resizer
from mmresizer.utils import InputError
from mmresizer.utils.errors import one_line
from mmresizer.utils.tables import show_size

from .arm import Arm
from .dry_build import DATALOADERS, check_outline, dry_build, takes_all_in_order
from .matching import match_flops
from .schema import ArmEntry, Holdout, SpecFile, read_spec_file


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
      of this one's output is to match), ``output_size`` (of a larger image, without
      such a match) and ``input_size`` (images are shrunk to it).
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
    file = read_spec_file(path, options)
    folder = str(Path(path).parent)
    stage1 = None
    if file.stage1 is not None and file.stage1.checkpoint is None:
        changes = {"stage1.options": file.stage1.options}
        stage1 = _configure(file, file.config, folder, "stage 1", changes)
        dry_build(stage1, "stage 1", stage1.get("load_from"))
    spec = Spec(
        name=Path(path).stem,
        stage1=stage1,
        checkpoint=file.stage1.checkpoint if file.stage1 else None,
        arms=_resolve_arms(file, folder),
        seeds=file.seeds,
        warmup_epochs=file.warmup_epochs,
        holdout=file.holdout.words if file.holdout else None,
    )
    _check_arms(spec)
    return spec


def _configure(
    file: SpecFile, config: str, folder: str, who: str, changes: dict[str, dict | None]
) -> Config:
    """Loads a config and changes it by settings, with a name for messages each."""
    cfg = load_named_config(config, folder)
    known = {*cfg, *signature(Runner).parameters} - {"self"}
    for what, values in changes.items():
        for name in values or {}:
            if str(name).partition(".")[0] not in known:
                raise InputError(
                    f"{what} have {name!r}, which no config has; accepted are settings "
                    f"below {', '.join(sorted(known))}"
                )
        try:
            cfg.merge_from_dict(deepcopy(values or {}))
        except (TypeError, KeyError, AttributeError) as e:
            raise InputError(f"{what} do not fit the config ({one_line(e)})") from e
    check_outline(cfg, who)
    if file.holdout is not None:
        _hold_out(cfg, file.holdout)
    return cfg


def _resolve_arms(file: SpecFile, folder: str) -> list[Arm]:
    """Returns the arms in the order of the file, those of a sweep at each size."""
    entries = file.all_arms()
    arms: dict[str, Arm] = {}
    plain: list[str] = []
    # Those that match another's cost need it first.
    for base, entry in sorted(
        entries, key=lambda pair: pair[1].match_flops is not None
    ):
        name, other, resizer = entry.name, entry.match_flops, entry.resizer
        changes = {
            "options": file.options,
            f"resizer of {name!r}": {"model.resizer": resizer} if resizer else None,
            f"options of {name!r}": entry.options,
        }
        config = entry.config or file.config
        cfg = _configure(file, config, folder, f"arm {name!r}", changes)
        if entry.output_size is not None:
            cfg.model.resizer.pop("scale_factor", None)
            cfg.model.resizer.output_size = entry.output_size
        if entry.input_size is not None:
            _set_input_size(cfg, entry.input_size)
        start = file.stage1.checkpoint if file.stage1 else cfg.get("load_from")
        arms[name] = _resolve(entry, base, cfg, start)
        if other is None:
            plain.append(name)
        elif other in plain:
            arms[name] = match_flops(arms[name], arms[other].macs)
        else:
            raise InputError(
                f"match_flops of arm {name!r} must be the name of an arm without "
                f"match_flops ({', '.join(plain)}), but got {other!r}"
            )
    own = {entry.name for _, entry in entries if entry.output_size is not None}
    _check_same_output([arms[name] for name in plain if name not in own])
    return [arms[entry.name] for _, entry in entries]


def _hold_out(cfg: Config, holdout: Holdout) -> None:
    """Replaces the validation set by a part of the training set."""
    train = cfg.train_dataloader.dataset
    if "pipeline" not in train or "pipeline" not in cfg.val_dataloader.dataset:
        raise InputError(
            "holdout needs a dataset that has its own pipeline, and no wrapper, but "
            f"train_dataloader.dataset is of type {train.get('type')!r}"
        )
    val = deepcopy(train)
    val.pipeline = cfg.val_dataloader.dataset.pipeline
    split = dict(type="mmresizer.KFoldDataset", **vars(holdout), seed=0)
    cfg.train_dataloader.dataset = dict(**split, dataset=train, test_mode=False)
    for name in DATALOADERS[1:]:
        cfg[name].dataset = dict(**split, dataset=deepcopy(val), test_mode=True)


def _set_input_size(cfg: Config, size: int) -> None:
    delivered = input_size(cfg)
    if size < 1 or (delivered and size > min(delivered)):
        raise InputError(
            "input_size must be an int of 1 or more and not above what the pipeline "
            f"delivers ({min(delivered or (size,))}), but got {size}"
        )
    if delivered == (size, size):
        return
    # Area interpolation uses all pixels: what a smaller input lacks is resolution.
    shrink = dict(type="Resize", scale=(size, size), interpolation="area")
    for name in DATALOADERS:
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


def _resolve(entry: ArmEntry, base: str, cfg: Config, start: str | None) -> Arm:
    """Checks an arm, which starts from the weights ``start``, if they are known yet."""
    model = dry_build(cfg, f"arm {entry.name!r}", start)
    size = fixed_input_size(cfg, f"arm {entry.name!r}")
    return Arm(
        name=entry.name,
        baseline=entry.baseline,
        cfg=cfg,
        base=base,
        input_size=size,
        output_size=get_resizer(model).get_output_size(size),
        macs=model_costs(model, size).total.macs,
    )


def _check_same_output(arms: list[Arm]) -> None:
    for arm in arms:
        if arm.output_size != arms[0].output_size:
            size, first = (show_size(each.output_size) for each in (arm, arms[0]))
            raise InputError(
                f"arm {arm.name!r} has the output size {size}, but {arms[0].name!r} "
                f"has {first}: an arm differs in it only with match_flops or "
                "output_size"
            )


def _check_arms(spec: Spec) -> None:
    epochs = min(arm.cfg.train_cfg.max_epochs for arm in spec.arms)
    if not 0 <= spec.warmup_epochs < epochs:
        raise InputError(
            f"warmup_epochs must be an int from 0 to {epochs - 1}, one less than the "
            f"epochs of an arm, but got {spec.warmup_epochs}"
        )
    # Some file systems do not tell capitals from small letters.
    folders = [arm.folder.casefold() for arm in spec.arms]
    for i, arm in enumerate(spec.arms):
        if folders[i] in (*folders[:i], "stage1"):
            raise InputError(
                "the names of arms must be unique, as folders too, but "
                f"{folders[i]!r}, of arm {arm.name!r}, is taken already"
            )
    if not spec.baselines:
        raise InputError("at least one arm must be a baseline (baseline=True)")
    if len(spec.arms) < 2:
        names = [arm.name for arm in spec.arms]
        raise InputError(f"arms must be two or more, to be compared, but got {names}")
    _check_same_validation(spec.arms)


def _check_same_validation(arms: list[Arm]) -> None:
    """Checks that arms of one input size are validated on the same images, in order."""
    validation: dict[tuple, tuple[str, Any]] = {}
    for arm in arms:
        loader = arm.cfg.val_dataloader
        data = [loader.get(key) for key in ("dataset", "num_batch_per_epoch")]
        first, other = validation.setdefault(arm.input_size, (arm.name, data))
        if data != other or not takes_all_in_order(loader):
            raise InputError(
                f"arm {arm.name!r} must be validated on the images of {first!r}, all "
                "of them and none in random order (a sampler with shuffle=False, no "
                "drop_last): differences are paired by image"
            )
