# Why validation accuracy falls for single epochs: the suspects one by one. An arm with
# "norms of" trains exactly as its namesake; only the statistics of batch norms at
# validation are other ones.
_base_ = ["_base_/flowers12_lite0.py"]


def _sgd(factor, *hooks):
    key = "optim_wrapper.paramwise_cfg.custom_keys.resizer.lr_mult"
    return {key: factor, "custom_hooks": list(hooks)}


def _adamw(lr, *hooks):
    own = dict(type="mmresizer.ResizerOptimizerHook", lr=lr)
    return {"custom_hooks": [own, *hooks]}


def _norms(part):
    return dict(type="mmresizer.RecomputeNormsHook", part=part)


_learned = dict(type="mmresizer.LearnedResizer")
_zero = dict(type="mmresizer.LearnedResizer", zero_init=True)

arms = [
    dict(name="bilinear", control=True),
    dict(name="bilinear, norms of all", options={"custom_hooks": [_norms("all")]}),
    dict(name="random, SGD", resizer=_learned, options=_sgd(1.0)),
    dict(name="SGD", resizer=_zero, options=_sgd(1.0)),
    dict(
        name="SGD, norms of resizer",
        resizer=_zero,
        options=_sgd(1.0, _norms("resizer")),
    ),
    dict(name="SGD, norms of rest", resizer=_zero, options=_sgd(1.0, _norms("rest"))),
    dict(name="SGD, norms of all", resizer=_zero, options=_sgd(1.0, _norms("all"))),
    dict(
        name="SGD, bounded",
        resizer=dict(_zero, residual_bound=0.25),
        options=_sgd(1.0),
    ),
    dict(name="SGD x0.01", resizer=_zero, options=_sgd(0.01)),
    dict(name="AdamW 1e-3", resizer=_zero, options=_adamw(1e-3)),
    dict(
        name="AdamW 1e-3, norms of all",
        resizer=_zero,
        options=_adamw(1e-3, _norms("all")),
    ),
    dict(
        name="AdamW 1e-3, no norm",
        resizer=dict(_zero, norm_cfg=None),
        options=_adamw(1e-3),
    ),
    dict(
        name="AdamW 1e-3, bounded",
        resizer=dict(_zero, residual_bound=0.25),
        options=_adamw(1e-3),
    ),
    dict(name="AdamW 3e-4", resizer=_zero, options=_adamw(3e-4)),
    dict(name="AdamW 1e-4", resizer=_zero, options=_adamw(1e-4)),
]
seeds = [0, 1, 2]
