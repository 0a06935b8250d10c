# The recipe, which has no norms, behind a backbone that AdamW trains.
_base_ = ["flowers12_lite0-adamw_56px.py"]

arms = [_base_._baselines["bilinear"], _base_._recipe, *_base_._averaged_arms]
