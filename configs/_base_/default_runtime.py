# MMPretrain's runtime, with mmresizer imported and the resizer drawn at validations.
_base_ = ["mmpretrain::_base_/default_runtime.py"]

custom_imports = dict(imports=["mmresizer"], allow_failed_imports=False)

default_hooks = dict(
    logger=dict(interval=20),
    checkpoint=dict(max_keep_ckpts=2),
)
custom_hooks = [dict(type="mmresizer.ResizerVisualizationHook", interval=10)]
