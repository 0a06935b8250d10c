# From scratch by the config's 40 epochs; then each arm goes on for 8 more.
_base_ = ["arms.py"]

stage1 = dict(options={})
options = {
    "optim_wrapper.optimizer.lr": 0.01,
    "train_cfg.max_epochs": 8,
    "param_scheduler.0.end": 1,
    "param_scheduler.1.begin": 1,
    "param_scheduler.1.end": 8,
}
warmup_epochs = 1

# The recipe beside the baselines that say whether it pays, for specs to take.
_arms = {arm["name"]: dict(arm) for arm in _base_.arms}
_arms["larger"].update(match_flops="learned, no norm")
_recipe_arms = [_arms["bilinear"], _arms["larger"], _base_._recipe]
