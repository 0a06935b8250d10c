# The best input of MobileNet-v2, among the paper's.
_base_ = ["_base_/sweep_in1k.py"]

config = "mmresizer::imagenet/bilinearx2_mobilenet-v2_8xb32-ft_in1k_224px.py"
