# Aerial photographs of 7 kinds of scenes, 1,862 + 938 images.
_base_ = ["in_memory_bs256.py"]

data_preprocessor = dict(num_classes=7)

images = dict(
    data_root="data/rsscn7",
    image_size=400,
    pipeline=[
        dict(type="mmresizer.LoadImageFromFile"),
        dict(type="Resize", scale=(400, 400)),
    ],
)
train_dataloader = dict(
    dataset=dict(
        **images,
        ann_file="meta/train.txt",
        max_shift=32,
        flips=["horizontal", "vertical", "transpose"],
    )
)
val_dataloader = dict(dataset=dict(**images, ann_file="meta/val.txt"))
test_dataloader = val_dataloader
