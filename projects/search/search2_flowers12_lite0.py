# Round 2 of the search, for what wins: more epochs, a backbone that stands still, and a
# teacher that sees the full image. Each has a baseline of its own. Held out are the
# images of round 1.
_base_ = ["../../comparisons/_base_/flowers12_lite0.py"]

options = {"custom_imports.imports": ["mmresizer", "projects.search.hooks"]}

_learned = dict(type="mmresizer.LearnedResizer", zero_init=True)
_own = dict(type="mmresizer.ResizerOptimizerHook", lr=3e-4)
_fast = dict(type="mmresizer.ResizerOptimizerHook", lr=1e-3)
# Features of the ImageNet weights at 224 px, which no label of flowers has touched.
_teacher = dict(
    type="mmresizer.DistillationHook",
    checkpoint="data/weights/efficientnet-lite0.pth",
    layer="model.global_pool",
    weight=5.0,
)
_frozen = {"optim_wrapper.paramwise_cfg.custom_keys.model": dict(lr_mult=0.0)}
_long = {"train_cfg.max_epochs": 24, "param_scheduler.1.end": 24}

arms = [
    dict(name="bilinear", baseline=True),
    dict(name="learned", resizer=_learned, options={"custom_hooks": [_own]}),
    dict(
        name="learned, frozen backbone",
        resizer=_learned,
        options={"custom_hooks": [_fast]} | _frozen,
    ),
    dict(
        name="bilinear, distilled",
        baseline=True,
        options={"custom_hooks": [_teacher]},
    ),
    dict(
        name="learned, distilled",
        resizer=_learned,
        options={"custom_hooks": [_own, _teacher]},
    ),
    dict(
        name="learned, distilled, frozen backbone",
        resizer=_learned,
        options={"custom_hooks": [_fast, _teacher]} | _frozen,
    ),
    dict(name="bilinear, 24 epochs", baseline=True, options=_long),
    dict(
        name="learned, 24 epochs",
        resizer=_learned,
        options={"custom_hooks": [_own]} | _long,
    ),
]
seeds = [0, 1]
holdout = dict(fold=0, num_splits=4)
