# As with ResNet-18, before MobileNet-v2.
_base_ = ["flowers12_resnet18_28px.py"]

config = "mmresizer::flowers/bilinearx4_mobilenet-v2_1xb32_flowers12_56px.py"
