# MMPretrain's runtime, with mmresizer imported and the resizer drawn at validations.
_base_ = ["mmpretrain::_base_/default_runtime.py"]

custom_imports = dict(imports=["mmresizer"], allow_failed_imports=False)

default_hooks = dict(
    logger=dict(interval=20),
    checkpoint=dict(max_keep_ckpts=2),
    # Here, and not in `custom_hooks`: those are free for a second base.
    resizer=dict(type="mmresizer.ResizerVisualizationHook", interval=10),
)
