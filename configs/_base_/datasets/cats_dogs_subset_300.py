# 900 + 1,000 of Asirra's cats and dogs, stretched to squares as in Keras's example.
_base_ = ["image_folder_bs32.py"]

data_preprocessor = dict(num_classes=2)

train_pipeline = [
    dict(type="mmresizer.LoadImageFromFile"),
    dict(type="Resize", scale=(300, 300)),
    dict(type="RandomFlip", prob=0.5, direction="horizontal"),
    dict(type="PackInputs"),
]
test_pipeline = [
    dict(type="mmresizer.LoadImageFromFile"),
    dict(type="Resize", scale=(300, 300)),
    dict(type="PackInputs"),
]

data_root = "data/cats_dogs"
train_dataloader = dict(dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(data_root=data_root, pipeline=test_pipeline))
test_dataloader = val_dataloader
