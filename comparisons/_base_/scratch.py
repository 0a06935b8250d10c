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

# The recipe beside the controls that say whether it pays, for specs to take.
_controls = ("bilinear", "larger")
_recipe_arms = [dict(arm) for arm in _base_.arms if arm["name"] in _controls]
_recipe_arms[1].update(match_flops="learned, no norm")
_recipe_arms += [_base_._recipe]
