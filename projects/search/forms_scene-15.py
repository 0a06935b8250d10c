_base_ = ["_base_/forms.py"]

config = "mmresizer::scene_15/bilinear-aax16.67_resnet14-cifar_1xb64_scene-15_12px.py"
