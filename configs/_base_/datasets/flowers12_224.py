# 12 of the 17 species of Oxford Flowers17, 720 + 240 images.
_base_ = ["image_folder_bs32.py"]

data_preprocessor = dict(num_classes=12)

train_pipeline = [
    dict(type="mmresizer.LoadImageFromFile"),
    dict(type="RandomResizedCrop", scale=224, crop_ratio_range=(0.35, 1.0)),
    dict(type="RandomFlip", prob=0.5, direction="horizontal"),
    dict(type="PackInputs"),
]
test_pipeline = [
    dict(type="mmresizer.LoadImageFromFile"),
    dict(type="ResizeEdge", scale=224, edge="short"),
    dict(type="CenterCrop", crop_size=224),
    dict(type="PackInputs"),
]

data_root = "data/flowers12"
train_dataloader = dict(dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(data_root=data_root, pipeline=test_pipeline))
test_dataloader = val_dataloader
