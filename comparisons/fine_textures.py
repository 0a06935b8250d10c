# The demonstration's task, cut short: the machinery of a comparison in minutes.
config = (
    "mmresizer::fine_textures/bilinearx4_resnet18-cifar-w16_1xb32_fine-textures_24px.py"
)

_short = {
    "train_dataloader.dataset.num_samples": 640,
    "train_cfg.max_epochs": 3,
    "param_scheduler": [
        dict(
            type="CosineAnnealingLR",
            by_epoch=True,
            end=3,
            convert_to_iter_based=True,
        )
    ],
}
stage1 = dict(options=_short)
options = _short

arms = [
    dict(name="bilinear", baseline=True),
    dict(name="antialiased", baseline=True, resizer=dict(antialias=True)),
    dict(name="larger", baseline=True, match_flops="learned"),
    dict(
        name="MULLER",
        baseline=True,
        resizer=dict(type="mmresizer.MULLERResizer", mean=[127.5] * 3, std=[60.0] * 3),
    ),
    dict(name="learned, random", resizer=dict(type="mmresizer.LearnedResizer")),
    dict(name="learned", resizer=dict(type="mmresizer.LearnedResizer", zero_init=True)),
    # The recipe for trained backbones.
    dict(
        name="learned, no norm",
        resizer=dict(type="mmresizer.LearnedResizer", zero_init=True, norm_cfg=None),
        options=dict(
            custom_hooks=[dict(type="mmresizer.ResizerOptimizerHook", lr=3e-4)]
        ),
    ),
    dict(
        name="learned, cheap stem",
        resizer=dict(type="mmresizer.LearnedResizer", zero_init=True, stem_stride=2),
    ),
]
seeds = [0, 1, 2]
warmup_epochs = 1
