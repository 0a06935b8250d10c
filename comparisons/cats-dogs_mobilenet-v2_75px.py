# From scratch on cats and dogs, 300 -> 75.
_base_ = ["_base_/scratch.py"]

config = "mmresizer::cats_dogs/bilinearx4_mobilenet-v2_1xb32_cats-dogs-subset_75px.py"
arms = _base_._recipe_arms + _base_._averaged_arms
