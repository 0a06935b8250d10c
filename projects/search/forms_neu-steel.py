_base_ = ["_base_/forms.py"]

config = "mmresizer::neu/bilinear-aax16.67_resnet14-cifar_1xb64_neu-steel_12px.py"
