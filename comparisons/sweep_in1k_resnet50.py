# The best input of ResNet-50, among the paper's.
_base_ = ["_base_/sweep_in1k.py"]

config = "mmresizer::imagenet/bilinearx2_resnet50_8xb32-ft_in1k_224px.py"
