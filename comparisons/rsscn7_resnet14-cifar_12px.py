_base_ = ["_base_/pooled.py"]

config = "mmresizer::rsscn7/bilinear-aax16.67_resnet14-cifar_1xb64_rsscn7_12px.py"
