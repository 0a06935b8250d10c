# Why validation accuracy falls for single epochs: the suspects one by one. An arm with
# "norms of" trains exactly as its namesake; only the statistics of batch norms at
# validation are other ones. On other held-out images than the search.
_base_ = ["../../comparisons/_base_/flowers12_lite0.py"]

options = {"custom_imports.imports": ["mmresizer", "projects.search.hooks"]}


def _sgd(factor):
    key = "optim_wrapper.paramwise_cfg.custom_keys.resizer.lr_mult"
    return {key: factor, "custom_hooks": []}


def _adamw(lr, *hooks):
    own = dict(type="mmresizer.ResizerOptimizerHook", lr=lr)
    return {"custom_hooks": [own, *hooks]}


def _gently(**options):
    return {"optim_wrapper.optimizer.lr": 0.003} | options


def _norms(part):
    return dict(type="mmresizer.RecomputeNormsHook", part=part)


_learned = dict(type="mmresizer.LearnedResizer", zero_init=True)
_no_norm = dict(_learned, norm_cfg=None)
_bounded = dict(_learned, residual_bound=0.25)

arms = [
    dict(name="bilinear", baseline=True),
    dict(name="bilinear, norms of all", options={"custom_hooks": [_norms("all")]}),
    # The step size ...
    dict(name="SGD", resizer=_learned, options=_sgd(1.0)),
    dict(name="SGD x0.1", resizer=_learned, options=_sgd(0.1)),
    dict(name="AdamW 3e-3", resizer=_learned, options=_adamw(3e-3)),
    dict(name="AdamW 1e-3", resizer=_learned, options=_adamw(1e-3)),
    dict(name="AdamW 3e-4", resizer=_learned, options=_adamw(3e-4)),
    dict(name="AdamW 1e-4", resizer=_learned, options=_adamw(1e-4)),
    # ... the statistics of batch norms ...
    dict(
        name="AdamW 1e-3, norms of resizer",
        resizer=_learned,
        options=_adamw(1e-3, _norms("resizer")),
    ),
    dict(
        name="AdamW 1e-3, norms of rest",
        resizer=_learned,
        options=_adamw(1e-3, _norms("rest")),
    ),
    dict(
        name="AdamW 1e-3, norms of all",
        resizer=_learned,
        options=_adamw(1e-3, _norms("all")),
    ),
    dict(name="AdamW 1e-3, no norm", resizer=_no_norm, options=_adamw(1e-3)),
    dict(name="AdamW 3e-4, no norm", resizer=_no_norm, options=_adamw(3e-4)),
    # ... the size of what the resizer adds ...
    dict(name="AdamW 1e-3, bounded", resizer=_bounded, options=_adamw(1e-3)),
    # ... and the backbone's own steps, here of 0.003 instead of 0.01.
    dict(name="bilinear, gently", options=_gently()),
    dict(name="AdamW 3e-4, gently", resizer=_learned, options=_gently(**_adamw(3e-4))),
]
seeds = [0, 1, 2]
holdout = dict(fold=1, num_splits=4)
