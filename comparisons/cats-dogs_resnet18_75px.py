# From scratch on cats and dogs, 300 -> 75.
_base_ = ["_base_/scratch.py"]

config = "mmresizer::cats_dogs/bilinearx4_resnet18_1xb32_cats-dogs-subset_75px.py"

# The arms that say whether a resizer pays.
arms = [arm for arm in _base_.arms if arm["name"] in ("bilinear", "larger")]
arms[1].update(match_flops="learned, no norm")
arms += [_base_._recipe]
