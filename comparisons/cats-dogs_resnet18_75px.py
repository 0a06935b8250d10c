# As with MobileNet-v2, before ResNet-18.
_base_ = ["cats-dogs_mobilenet-v2_75px.py"]

config = "mmresizer::cats_dogs/bilinearx4_resnet18_1xb32_cats-dogs-subset_75px.py"
