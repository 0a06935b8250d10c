# A resizer whose features are pooled, against what it has to beat.
_base_ = ["detail.py", "bfloat16.py"]

warmup_epochs = 5
_named = {arm["name"]: arm for arm in [*_base_._baselines, *_base_._forms]}
_names = [
    "antialiased",
    "learned, antialiased, stride 2",
    "bilinear",
    "larger, antialiased",
    "bicubic, antialiased",
    "MULLER",
    "learned",
]
arms = [_named[name] for name in _names]
