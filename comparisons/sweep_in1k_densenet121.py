# The best input of DenseNet-121, among the paper's.
_base_ = ["_base_/sweep_in1k.py"]

config = "mmresizer::imagenet/bilinearx2_densenet121_8xb32-ft_in1k_224px.py"
