# Tasks whose classes lie in details, with the baselines that a resizer has to beat at
# the same output size, and forms of the resizer.
warmup_epochs = 10
seeds = [0, 1, 2]

_mean, _std = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
_baselines = [
    dict(name="antialiased", baseline=True, resizer=dict(antialias=True)),
    dict(name="bilinear", baseline=True, resizer=dict(antialias=False)),
    dict(
        name="bicubic, antialiased",
        baseline=True,
        resizer=dict(antialias=True, interpolation="bicubic"),
    ),
    dict(
        name="larger, antialiased",
        baseline=True,
        resizer=dict(antialias=True),
        match_flops="learned, antialiased, stride 2",
    ),
    dict(
        name="MULLER",
        baseline=True,
        resizer=dict(
            type="mmresizer.MULLERResizer", mean=_mean, std=_std, antialias=False
        ),
    ),
]
_learned = dict(type="mmresizer.LearnedResizer", antialias=False)
_pooled = dict(_learned, antialias=True)
_strided = dict(_pooled, stem_stride=2)
# As in the paper; then with features that are pooled over the whole patch.
_forms = [
    dict(name="learned", resizer=_learned),
    dict(name="learned, antialiased", resizer=_pooled),
    dict(name="learned, antialiased, stride 2", resizer=_strided),
    dict(name="learned, antialiased, stride 4", resizer=dict(_pooled, stem_stride=4)),
    dict(
        name="learned, antialiased, stride 2, n 32",
        resizer=dict(_strided, mid_channels=32),
    ),
]
_more_forms = [
    dict(
        name="learned, antialiased, stride 2, no norm",
        resizer=dict(_strided, norm_cfg=None),
    ),
    dict(
        name="learned, antialiased, stride 2, zero init",
        resizer=dict(_strided, zero_init=True),
    ),
    dict(
        name="learned, antialiased, stride 2, AdamW",
        resizer=_strided,
        options=dict(
            custom_hooks=[dict(type="mmresizer.ResizerOptimizerHook", lr=1e-3)]
        ),
    ),
]
arms = [*_baselines, *_forms]
