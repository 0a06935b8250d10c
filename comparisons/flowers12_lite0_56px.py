# Fine-tuned to flowers, 224 -> 56.
_base_ = ["_base_/flowers12_lite0.py"]
