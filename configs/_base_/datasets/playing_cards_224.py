# Playing cards, 53 classes, 6,671 + 1,483 images.
_base_ = ["in_memory_bs256.py"]

data_preprocessor = dict(num_classes=53)

images = dict(
    data_root="data/playing_cards",
    image_size=224,
    pipeline=[
        dict(type="mmresizer.LoadImageFromFile"),
        dict(type="Resize", scale=(224, 224)),
    ],
)
# Never flipped: a mirrored glyph is none.
train_dataloader = dict(dataset=dict(**images, ann_file="meta/train.txt", max_shift=16))
val_dataloader = dict(dataset=dict(**images, ann_file="meta/val.txt"))
test_dataloader = val_dataloader
