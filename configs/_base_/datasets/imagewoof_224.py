# Imagewoof, ten breeds of dogs of ImageNet, cropped like the whole.
_base_ = ["imagenette_224.py"]

dataset = dict(type="mmresizer.Imagewoof", data_root="data/imagewoof2")
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(dataset=dataset)
