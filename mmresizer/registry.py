"""Registries of mmresizer: one child, of scope ``mmresizer``, for each of MMPretrain's.

Write the prefix in configs (``type='mmresizer.LearnedResizer'``). The name then
resolves under any default scope, whether ``mmpretrain``, ``mmdet`` or ``mmresizer``.
"""

from mmengine.registry import Registry
from mmpretrain import registry as mmpretrain_registry


def _child(name: str, package: str) -> Registry:
    parent = getattr(mmpretrain_registry, name)
    # A registry without own modules still has to import something: an empty list of
    # locations makes mmengine look for `mmresizer.utils.register_all_modules`.
    registry = Registry(
        parent.name,
        parent=parent,
        scope="mmresizer",
        locations=[f"mmpretrain.{package}", f"mmresizer.{package}"],
    )
    # mmengine looks prefixes up among the children of the root only, so that a
    # grandchild is found from MMPretrain's scope but not from MMDetection's.
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
