# Fine-tuned to cats and dogs, 300 -> 75.
_base_ = ["_base_/lite0.py"]

config = (
    "mmresizer::cats_dogs/bilinearx4_efficientnet-lite0_1xb32_cats-dogs-subset_75px.py"
)
options = {"optim_wrapper.optimizer.lr": 0.001}

arms = _base_._recipe_arms
