_base_ = ["_base_/detail.py", "_base_/bfloat16.py"]

config = (
    "mmresizer::deep_pcb/bilinear-aax8_resnet14-cifar_1xb256_deep-pcb-patches_12px.py"
)
# 13 px is the next size. It costs what the resizer with a stem of stride 1 costs, and
# more than with one of stride 2: maps of 7 and 4 px follow, instead of 6 and 3.
_arms = {arm["name"]: dict(arm) for arm in [*_base_._baselines, *_base_._forms]}
_arms["larger, antialiased"].update(match_flops="learned, antialiased")
# A size that halves twice without a remainder; it costs 1.8 times as much as 12 px.
_arms["16 px, antialiased"] = dict(
    name="16 px, antialiased",
    baseline=True,
    resizer=dict(antialias=True),
    output_size=16,
)
_names = [
    "antialiased",
    "larger, antialiased",
    "16 px, antialiased",
    "learned, antialiased, stride 2",
    "bilinear",
    "bicubic, antialiased",
    "learned",
    "MULLER",
    "learned, antialiased",
]
arms = [_arms[name] for name in _names]
# Two more than usual: three left the difference to bicubic undecided.
seeds = [0, 1, 2, 3, 4]
