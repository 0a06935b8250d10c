# Which steps the resizer should take behind a backbone that AdamW trains. Held out are
# the images of the other searches.
_base_ = ["../../comparisons/flowers12_lite0-adamw_56px.py"]


def _learned(name, lr, **resizer):
    return dict(
        name=name,
        resizer=dict(type="mmresizer.LearnedResizer", zero_init=True, **resizer),
        options=dict(custom_hooks=[dict(type="mmresizer.ResizerOptimizerHook", lr=lr)]),
    )


arms = [
    dict(name="bilinear", baseline=True),
    _learned("3e-4", 3e-4),
    _learned("1e-4", 1e-4),
    _learned("3e-5", 3e-5),
    _learned("3e-4, no norm", 3e-4, norm_cfg=None),
]
holdout = dict(fold=0, num_splits=4)
