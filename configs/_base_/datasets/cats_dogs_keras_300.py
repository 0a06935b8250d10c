# Asirra's cats and dogs as in Keras's example: 40 % for training, 10 % for validation,
# stretched to squares, scaled to [0, 1], without augmentation.
_base_ = ["image_folder_bs32.py"]

data_preprocessor = dict(num_classes=2, mean=[0.0, 0.0, 0.0], std=[255.0, 255.0, 255.0])

pipeline = [
    dict(type="mmresizer.LoadImage"),
    dict(type="Resize", scale=(300, 300)),
    dict(type="PackInputs"),
]

cats_dogs = dict(
    data_root="data/PetImages",
    data_prefix="",
    metainfo=dict(classes=("cat", "dog")),
    pipeline=pipeline,
)
train_dataloader = dict(
    batch_size=64, dataset=dict(ann_file="meta/train_40.txt", **cats_dogs)
)
val_dataloader = dict(
    batch_size=64, dataset=dict(ann_file="meta/val_10.txt", **cats_dogs)
)
test_dataloader = val_dataloader
