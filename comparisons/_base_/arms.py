# The baselines, and the learned resizer: started as in the paper, and by the first
# recipe, which kept the paper's norms. `_recipe` is today's, for specs to add.
#
# The statistics that MULLER needs are those of the data preprocessor.
_normalization = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])
_learned = dict(type="mmresizer.LearnedResizer", zero_init=True)


def _own(lr):
    return dict(custom_hooks=[dict(type="mmresizer.ResizerOptimizerHook", lr=lr)])


arms = [
    dict(name="bilinear", baseline=True),
    dict(name="antialiased", baseline=True, resizer=dict(antialias=True)),
    dict(name="larger", baseline=True, match_flops="learned"),
    dict(
        name="MULLER",
        baseline=True,
        resizer=dict(type="mmresizer.MULLERResizer") | _normalization,
        options=_own(0.03),
    ),
    # As the paper starts it, by the backbone's optimizer.
    dict(
        name="learned, random",
        resizer=dict(type="mmresizer.LearnedResizer"),
        options={
            "optim_wrapper.paramwise_cfg.custom_keys.resizer.lr_mult": 1.0,
            "custom_hooks": [],
        },
    ),
    dict(name="learned", resizer=_learned, options=_own(3e-4)),
    dict(
        name="learned, cheap stem",
        resizer=dict(_learned, stem_stride=2),
        options=_own(3e-4),
    ),
]
_recipe = dict(
    name="learned, no norm",
    resizer=dict(_learned, norm_cfg=None),
    options=_own(3e-4),
)
seeds = [0, 1, 2]

# Bilinear and the recipe once more with averaged weights, of about the last 20 steps,
# which is an epoch or less. They train exactly as their namesakes do.
_average = dict(type="EMAHook", momentum=0.05, update_buffers=True)
_averaged_arms = [
    dict(name=f"{arm['name']}, averaged", options=dict(custom_hooks=[*hooks, _average]))
    | {key: arm[key] for key in ("baseline", "resizer") if key in arm}
    for arm, hooks in (
        (arms[0], []),
        (_recipe, _recipe["options"]["custom_hooks"]),
    )
]
