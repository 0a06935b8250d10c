# Forms of a resizer whose features are pooled, and ways to train it, one change each
# from the form of the published tables. Validated on a quarter of the training images,
# which is held out.
_base_ = ["../../../comparisons/_base_/bfloat16.py"]

warmup_epochs = 5
_resizer = dict(type="mmresizer.LearnedResizer", antialias=True, stem_stride=2)
_average = dict(type="EMAHook", momentum=0.05, update_buffers=True)


def _form(name, options=None, **changes):
    return dict(name=name, resizer=dict(_resizer, **changes), options=options or {})


arms = [
    dict(name="antialiased", baseline=True, resizer=dict(antialias=True)),
    _form("stride 2"),
    _form("stride 1", stem_stride=1),
    _form("stride 4", stem_stride=4),
    _form("n 32", mid_channels=32),
    _form("r 0", num_blocks=0),
    _form("r 2", num_blocks=2),
    _form("no norm", norm_cfg=None),
    _form("8 channels", {"model.backbone.in_channels": 8}, out_channels=8),
    _form("zero init", zero_init=True),
    _form("averaged", dict(custom_hooks=[_average])),
    _form(
        "AdamW",
        dict(custom_hooks=[dict(type="mmresizer.ResizerOptimizerHook", lr=1e-3)]),
    ),
]
seeds = [0, 1]
holdout = dict(fold=0, num_splits=4)
