"""Registries of mmresizer: a child, of scope ``mmresizer``, of each in MMPretrain.

Write the prefix in configs (``type='mmresizer.LearnedResizer'``). The name then
resolves under any default scope, whether ``mmpretrain``, ``mmdet`` or ``mmresizer``.
"""

from collections.abc import Mapping
from typing import Any

from mmengine.config import Config
from mmengine.registry import Registry, init_default_scope
from mmpretrain import registry as mmpretrain_registry


def enter_scope(cfg: Config) -> None:
    """Makes names resolve as in a run of a config.

    New-style configs, in pure Python, have classes in place of names, and may have None
    as ``default_scope``: as in the Runner, none is entered then, and each registry
    resolves the names of its own package.
    """
    scope = cfg.get("default_scope", "mmengine")
    if scope is not None:
        init_default_scope(scope)


def find_class(registry: Registry, kind: Any) -> Any:
    """Returns what the ``type`` of a config means: a name, or a class itself.

    Args:
        registry (Registry): Where a name is looked up, in the scope that was entered.
        kind (Any): The ``type``.

    Returns:
        Any: The class or function; None if there is none of that name.
    """
    if not isinstance(kind, str):
        return kind
    with registry.switch_scope_and_registry(None) as current:
        return current.get(kind)


def get_type_name(config: Mapping) -> str:
    """Returns the name of the class that a config is of, without scope or module."""
    kind = config.get("type")
    return str(getattr(kind, "__name__", kind)).rpartition(".")[2]


def _child(name: str, package: str) -> Registry:
    parent = getattr(mmpretrain_registry, name)
    # A registry without modules of its own must import something too: without locations
    # mmengine would look for `mmresizer.utils.register_all_modules`.
    registry = Registry(
        parent.name,
        parent=parent,
        scope="mmresizer",
        locations=[f"mmpretrain.{package}", f"mmresizer.{package}"],
    )
    # mmengine looks up prefixes among the children of the root only. So a grandchild
    # would be found from MMPretrain's scope, but not from MMDetection's.
    if parent.parent is not None:
        parent.parent._add_child(registry)
    return registry


RUNNERS = _child("RUNNERS", "engine")
RUNNER_CONSTRUCTORS = _child("RUNNER_CONSTRUCTORS", "engine")
LOOPS = _child("LOOPS", "engine")
HOOKS = _child("HOOKS", "engine")
LOG_PROCESSORS = _child("LOG_PROCESSORS", "engine")
OPTIMIZERS = _child("OPTIMIZERS", "engine")
OPTIM_WRAPPERS = _child("OPTIM_WRAPPERS", "engine")
OPTIM_WRAPPER_CONSTRUCTORS = _child("OPTIM_WRAPPER_CONSTRUCTORS", "engine")
PARAM_SCHEDULERS = _child("PARAM_SCHEDULERS", "engine")
DATASETS = _child("DATASETS", "datasets")
DATA_SAMPLERS = _child("DATA_SAMPLERS", "datasets")
TRANSFORMS = _child("TRANSFORMS", "datasets")
MODELS = _child("MODELS", "models")
MODEL_WRAPPERS = _child("MODEL_WRAPPERS", "models")
WEIGHT_INITIALIZERS = _child("WEIGHT_INITIALIZERS", "models")
BATCH_AUGMENTS = _child("BATCH_AUGMENTS", "models")
TASK_UTILS = _child("TASK_UTILS", "models")
METRICS = _child("METRICS", "evaluation")
EVALUATORS = _child("EVALUATORS", "evaluation")
VISUALIZERS = _child("VISUALIZERS", "visualization")
VISBACKENDS = _child("VISBACKENDS", "visualization")
