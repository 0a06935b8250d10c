# The same of 900 + 1,000 images in one folder a class.
_base_ = ["cats_dogs_keras_300.py"]

subset = dict(data_root="data/cats_dogs", ann_file="", metainfo=None)
train_dataloader = dict(dataset=dict(data_prefix="train", **subset))
val_dataloader = dict(dataset=dict(data_prefix="val", **subset))
test_dataloader = val_dataloader
