# Imagenette, ten classes of ImageNet, cropped like the whole.
_base_ = ["in1k_224.py"]

data_preprocessor = dict(num_classes=10)
dataset = dict(type="mmresizer.Imagenette", data_root="data/imagenette2")
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(dataset=dataset)
