# Asirra's cats and dogs as in Keras's example: 40 % for training, 10 % for validation,
# stretched to squares, scaled to [0, 1], without augmentation.
_base_ = ["image_folder_bs32.py"]

data_preprocessor = dict(num_classes=2, mean=[0.0, 0.0, 0.0], std=[255.0, 255.0, 255.0])

pipeline = [
    dict(type="mmresizer.LoadImageFromFile"),
    dict(type="Resize", scale=(300, 300)),
    dict(type="PackInputs"),
]

train_dataloader = dict(
    batch_size=64,
    dataset=dict(
        data_root="data/PetImages",
        data_prefix="",
        ann_file="meta/train_40.txt",
        metainfo=dict(classes=("cat", "dog")),
        pipeline=pipeline,
    ),
)
val_dataloader = dict(
    batch_size=64,
    dataset=dict(
        data_root="data/PetImages",
        data_prefix="",
        ann_file="meta/val_10.txt",
        metainfo=dict(classes=("cat", "dog")),
        pipeline=pipeline,
    ),
)
test_dataloader = val_dataloader
