# Images of 200x200 pixels that stay in memory.
_base_ = ["in_memory_bs256.py"]

images = dict(
    image_size=200,
    pipeline=[
        dict(type="mmresizer.LoadImageFromFile"),
        dict(type="Resize", scale=(200, 200)),
    ],
)
train_dataloader = dict(dataset=dict(**images, ann_file="meta/train.txt", max_shift=16))
val_dataloader = dict(dataset=dict(**images, ann_file="meta/val.txt"))
test_dataloader = val_dataloader
