_base_ = ["_base_/detail.py", "_base_/bfloat16.py"]

config = "mmresizer::cub_100/bilinear-aax4_efficientnet-lite0_1xb64_cub-100_56px.py"

# From ImageNet weights the resizer starts as interpolation, by the recipe.
_recipe = dict(
    type="mmresizer.LearnedResizer", zero_init=True, norm_cfg=None, antialias=True
)
_own = dict(custom_hooks=[dict(type="mmresizer.ResizerOptimizerHook", lr=3e-4)])
_plain = dict(_recipe, antialias=False)
_strided = dict(_recipe, stem_stride=2)
_baselines = [dict(arm) for arm in _base_._baselines]
_baselines[-1]["resizer"] = dict(
    _baselines[-1]["resizer"], mean=[127.0] * 3, std=[128.0] * 3
)
_baselines[-1]["options"] = dict(
    custom_hooks=[dict(type="mmresizer.ResizerOptimizerHook", lr=0.03)]
)
arms = [
    *_baselines,
    dict(name="learned", resizer=_plain, options=_own),
    dict(name="learned, antialiased", resizer=_recipe, options=_own),
    dict(name="learned, antialiased, stride 2", resizer=_strided, options=_own),
    dict(
        name="learned, antialiased, stride 2, with norms",
        resizer=dict(_strided, norm_cfg=dict(type="BN")),
        options=_own,
    ),
]
