# From scratch on flowers, 224 -> 56.
_base_ = ["_base_/scratch.py"]

config = "mmresizer::flowers/bilinearx4_mobilenet-v2_1xb32_flowers12_56px.py"
