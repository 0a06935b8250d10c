# The recipe that never hurt, as a second base beside any schedule, of SGD or of AdamW:
# the resizer gets steps of its own size, whatever trains the backbone. With it,
# `zero_init=True` starts a trained backbone from the images that it knows. A model
# without resizer weights, such as the control, is trained as without it.
custom_hooks = [dict(type="mmresizer.ResizerOptimizerHook", lr=3e-4)]
