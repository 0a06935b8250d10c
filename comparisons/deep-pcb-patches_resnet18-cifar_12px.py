_base_ = ["_base_/detail.py", "_base_/bfloat16.py"]

config = (
    "mmresizer::deep_pcb/bilinear-aax8_resnet18-cifar_1xb256_deep-pcb-patches_12px.py"
)
# 13 px, the next size, costs what the resizer with a stem of stride 1 costs, and 16 %
# more than with one of stride 2.
_matched = {arm["name"]: dict(arm) for arm in _base_._baselines}
_matched["larger, antialiased"].update(match_flops="learned, antialiased")
arms = [*_matched.values(), *_base_._forms[:4], _base_._more_forms[-1]]
