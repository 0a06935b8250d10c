# Three times as many epochs, which round 2 of the search left as the only lead.
_base_ = ["_base_/flowers12_lite0.py"]

options = {"train_cfg.max_epochs": 24, "param_scheduler.1.end": 24}
arms = [
    arm
    for arm in _base_.arms
    if arm["name"] in ("bilinear", "antialiased", "MULLER", "learned")
]
