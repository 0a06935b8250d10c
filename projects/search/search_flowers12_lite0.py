# Round 1 of the search for a recipe: what trains the resizer, and from where. Chosen on
# a quarter of the training set, held out.
_base_ = ["../../comparisons/_base_/flowers12_lite0.py"]

options = {"custom_imports.imports": ["mmresizer", "projects.search.hooks"]}


def _sgd(factor, *hooks):
    key = "optim_wrapper.paramwise_cfg.custom_keys.resizer.lr_mult"
    return {key: factor, "custom_hooks": list(hooks)}


def _own(lr, *hooks):
    own = dict(type="mmresizer.ResizerOptimizerHook", lr=lr)
    return {"custom_hooks": [own, *hooks]}


def _learned(**arguments):
    return dict(type="mmresizer.LearnedResizer", zero_init=True) | arguments


def _muller(**arguments):
    normalization = dict(mean=[127.0] * 3, std=[128.0] * 3)
    return dict(type="mmresizer.MULLERResizer") | normalization | arguments


_clip = dict(type="mmresizer.ClipResizerGradHook", max_norm=0.1)
_published = [1.892, -0.014, -11.295, 0.003]

arms = [
    dict(name="bilinear", baseline=True),
    dict(name="antialiased", resizer=dict(antialias=True)),
    dict(name="MULLER", resizer=_muller(), options=_own(0.03)),
    dict(
        name="MULLER, published",
        resizer=_muller(weights=_published),
        options=_own(0.03),
    ),
    dict(name="random, SGD", resizer=_learned(zero_init=False), options=_sgd(1.0)),
    dict(
        name="random, AdamW 1e-3", resizer=_learned(zero_init=False), options=_own(1e-3)
    ),
    dict(name="SGD", resizer=_learned(), options=_sgd(1.0)),
    dict(name="SGD x0.1", resizer=_learned(), options=_sgd(0.1)),
    dict(name="SGD x0.1, clipped", resizer=_learned(), options=_sgd(0.1, _clip)),
    dict(name="AdamW 1e-4", resizer=_learned(), options=_own(1e-4)),
    dict(name="AdamW 3e-4", resizer=_learned(), options=_own(3e-4)),
    dict(name="AdamW 1e-3", resizer=_learned(), options=_own(1e-3)),
    dict(name="AdamW 3e-3", resizer=_learned(), options=_own(3e-3)),
    dict(
        name="AdamW 1e-3, bounded",
        resizer=_learned(residual_bound=0.25),
        options=_own(1e-3),
    ),
    dict(
        name="AdamW 1e-3, GN",
        resizer=_learned(norm_cfg=dict(type="GN", num_groups=4)),
        options=_own(1e-3),
    ),
    dict(
        name="AdamW 1e-3, no norm", resizer=_learned(norm_cfg=None), options=_own(1e-3)
    ),
    dict(
        name="AdamW 1e-3, cheap stem",
        resizer=_learned(stem_stride=2),
        options=_own(1e-3),
    ),
    dict(
        name="AdamW 1e-3, antialiased",
        resizer=_learned(antialias=True),
        options=_own(1e-3),
    ),
]
seeds = [0, 1]
holdout = dict(fold=0, num_splits=4)
