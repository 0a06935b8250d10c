_base_ = ["_base_/forms.py"]

config = (
    "mmresizer::deep_pcb/bilinear-aax8_resnet14-cifar_1xb256_deep-pcb-patches_12px.py"
)
