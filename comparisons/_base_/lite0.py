# EfficientNet-lite0 with ImageNet weights: fine-tuned at the comparison's size for 16
# epochs, then each arm goes on for the config's 8, at half its rate.
_base_ = ["arms.py"]

stage1 = dict(options={"train_cfg.max_epochs": 16, "param_scheduler.1.end": 16})
options = {"optim_wrapper.optimizer.lr": 0.01}
warmup_epochs = 1

# The statistics of these weights.
arms = _base_.arms
next(arm for arm in arms if arm["name"] == "MULLER")["resizer"].update(
    mean=[127.0] * 3, std=[128.0] * 3
)

# The recipe beside every baseline, for specs to take.
_baselines = {arm["name"]: dict(arm) for arm in arms if arm.get("baseline")}
_baselines["larger"].update(match_flops="learned, no norm")
_recipe_arms = [*_baselines.values(), _base_._recipe]
