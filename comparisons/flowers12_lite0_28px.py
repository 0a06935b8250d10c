# Fine-tuned to flowers, 224 -> 28.
_base_ = ["_base_/flowers12_lite0.py"]

config = "mmresizer::flowers/bilinearx8_efficientnet-lite0_1xb32_flowers12_28px.py"
