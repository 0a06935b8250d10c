# Fine-tuned to flowers, 224 -> 56, by the recipe, which has no norms.
_base_ = ["_base_/flowers12_lite0.py"]

arms = _base_._recipe_arms + _base_._averaged_arms
