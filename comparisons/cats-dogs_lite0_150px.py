# Fine-tuned to cats and dogs, 300 -> 150: fewer epochs than at 75 px, since the weights
# know nearly this size already, and each takes more than twice the time.
_base_ = ["_base_/lite0.py"]

config = (
    "mmresizer::cats_dogs/bilinearx2_efficientnet-lite0_1xb32_cats-dogs-subset_150px.py"
)
stage1 = dict(options={"train_cfg.max_epochs": 6, "param_scheduler.1.end": 6})
options = {
    "optim_wrapper.optimizer.lr": 0.001,
    "train_cfg.max_epochs": 4,
    "param_scheduler.1.end": 4,
}

arms = [_base_._baselines["bilinear"], _base_._recipe]
