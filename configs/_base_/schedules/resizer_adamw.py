# As one more base beside the schedule of a trained backbone, of SGD or of AdamW: the
# resizer gets steps of its own size. `zero_init=True, norm_cfg=None` of the resizer go
# with it. A model without resizer weights, such as the baseline, is trained as without
# it. See docs/stability.md.
custom_hooks = [dict(type="mmresizer.ResizerOptimizerHook", lr=3e-4)]
