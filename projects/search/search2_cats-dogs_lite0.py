# Which steps the resizer should take behind a backbone that itself takes small ones,
# chosen on a quarter of the training images: 3e-4, with norms, seemed to do harm.
_base_ = ["../../comparisons/cats-dogs_lite0_75px.py"]


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
seeds = [0, 1]
holdout = dict(fold=0, num_splits=4)
