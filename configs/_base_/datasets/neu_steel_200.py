# Defects of steel strips, 6 kinds, 1,176 + 593 images.
_base_ = ["in_memory_bs256.py"]

data_preprocessor = dict(num_classes=6)

images = dict(
    data_root="data/neu_steel",
    image_size=200,
    pipeline=[
        dict(type="mmresizer.LoadImageFromFile"),
        dict(type="Resize", scale=(200, 200)),
    ],
)
train_dataloader = dict(
    dataset=dict(
        **images,
        ann_file="meta/train.txt",
        max_shift=16,
        flips=["horizontal", "vertical", "transpose"],
    )
)
val_dataloader = dict(dataset=dict(**images, ann_file="meta/val.txt"))
test_dataloader = val_dataloader
