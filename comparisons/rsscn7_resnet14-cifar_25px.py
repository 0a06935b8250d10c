_base_ = ["_base_/detail.py", "_base_/bfloat16.py"]

config = "mmresizer::rsscn7/bilinear-aax16_resnet14-cifar_1xb256_rsscn7_25px.py"
