# `resizer_adamw.py`, with the weights of resizer and backbone averaged, over about the
# last 20 steps, for validation and checkpoints: small datasets, whose epochs are that
# short, then fall less deep for single epochs. For longer epochs write both hooks, with
# a momentum of 1 / (steps of an epoch). The baseline takes this file too. See
# docs/stability.md.
custom_hooks = [
    dict(type="mmresizer.ResizerOptimizerHook", lr=3e-4),
    dict(type="EMAHook", momentum=0.05, update_buffers=True),
]
