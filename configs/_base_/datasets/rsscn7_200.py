# The aerial photographs at half their size.
_base_ = ["rsscn7_400.py"]

images = dict(
    image_size=200,
    pipeline=[
        dict(type="mmresizer.LoadImageFromFile"),
        dict(type="Resize", scale=(200, 200)),
    ],
)
train_dataloader = dict(dataset=dict(**images, max_shift=16))
val_dataloader = dict(dataset=images)
test_dataloader = val_dataloader
