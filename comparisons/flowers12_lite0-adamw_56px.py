# The first recipe, with norms, behind a backbone that AdamW trains.
_base_ = ["_base_/flowers12_lite0.py"]

_adamw = dict(_delete_=True, type="AdamW", weight_decay=0.01)

stage1 = dict(options={"optim_wrapper.optimizer": dict(_adamw, lr=1e-3)})
options = {"optim_wrapper.optimizer": dict(_adamw, lr=5e-4)}
arms = [
    arm
    for arm in _base_.arms
    if arm["name"] in ("bilinear", "learned, random", "learned")
]
