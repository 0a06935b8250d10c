# From MMDetection's weights: its 1x schedule, a tenth of the rate and half as long.
_base_ = [
    "mmdet::_base_/schedules/schedule_1x.py",
    "mmdet::_base_/default_runtime.py",
    "resizer_adamw.py",
]

custom_imports = dict(imports=["mmresizer"], allow_failed_imports=False)

optim_wrapper = dict(optimizer=dict(lr=0.002))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type="MultiStepLR", by_epoch=True, milestones=[4, 5], gamma=0.1),
]
train_cfg = dict(max_epochs=6)
