_base_ = ["_base_/detail.py", "_base_/bfloat16.py"]

config = (
    "mmresizer::playing_cards/bilinear-aax8_resnet18-cifar_1xb256_playing-cards_28px.py"
)
