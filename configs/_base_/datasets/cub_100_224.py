# The first 100 species of CUB-200-2011, 2,999 + 2,903 images of 227 px.
_base_ = ["in_memory_bs256.py"]

data_preprocessor = dict(num_classes=100)

images = dict(
    data_root="data/cub_100",
    data_prefix="images",
    image_size=224,
    pipeline=[
        dict(type="mmresizer.LoadImageFromFile"),
        dict(type="CenterCrop", crop_size=224),
    ],
)
train_dataloader = dict(
    batch_size=64,
    dataset=dict(
        **images, ann_file="meta/train.txt", max_shift=24, flips=["horizontal"]
    ),
)
val_dataloader = dict(dataset=dict(**images, ann_file="meta/val.txt"))
test_dataloader = val_dataloader
