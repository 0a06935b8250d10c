# From MMSegmentation's weights: a tenth of its rate, by its polynomial, over 20,000
# iterations. Other optimizers than its SGD replace `optim_wrapper`.
_base_ = [
    "mmseg::_base_/schedules/schedule_20k.py",
    "mmseg::_base_/default_runtime.py",
    "resizer_adamw.py",
]

custom_imports = dict(imports=["mmresizer"], allow_failed_imports=False)

optim_wrapper = dict(optimizer=dict(lr=0.001))
param_scheduler = [
    dict(type="PolyLR", eta_min=1e-5, power=0.9, begin=0, end=20000, by_epoch=False)
]
