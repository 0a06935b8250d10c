# Grey photographs of 15 kinds of places, 1,489 + 2,985 images.
_base_ = ["in_memory_bs256.py"]

data_preprocessor = dict(num_classes=15)

images = dict(
    data_root="data/scene_15",
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
        flips=["horizontal"],
    )
)
val_dataloader = dict(dataset=dict(**images, ann_file="meta/val.txt"))
test_dataloader = val_dataloader
