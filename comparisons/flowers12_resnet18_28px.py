# From scratch on flowers, 224 -> 28.
_base_ = ["_base_/scratch.py"]

config = "mmresizer::flowers/bilinearx4_resnet18_1xb32_flowers12_56px.py"
_output = {"model.resizer.output_size": 28}
stage1 = dict(options=_output)
options = {**_base_.options, **_output}
arms = _base_._recipe_arms + _base_._averaged_arms
