# The paper's search for the best input of a backbone: how many pixels should a resizer
# to 56 px be given?
_base_ = ["_base_/flowers12_lite0.py"]

arms = [arm for arm in _base_.arms if arm["name"] == "bilinear"] + [_base_._recipe]
sweep = dict(arms=["bilinear", "learned, no norm"], input_sizes=[64, 80, 112, 160, 224])
