# Photographs of magnetic tiles with the pixels of 5 kinds of defects, 904 + 440 images.
_base_ = ["label_maps_bs8.py"]

metainfo = dict(
    classes=("background", "blowhole", "break", "crack", "fray", "uneven"),
    palette=[
        (60, 60, 60),
        (220, 20, 60),
        (250, 170, 30),
        (0, 0, 230),
        (0, 160, 60),
        (160, 60, 200),
    ],
)

train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline
train_pipeline[2].scale = test_pipeline[1].scale = (256, 256)
train_pipeline[3].update(prob=[0.3, 0.3], direction=["horizontal", "vertical"])

data = dict(type="BaseSegDataset", data_root="data/magnetic_tiles/", metainfo=metainfo)
train_dataloader = dict(
    dataset=dict(
        data,
        data_prefix=dict(img_path="img_dir/train", seg_map_path="ann_dir/train"),
        pipeline=train_pipeline,
    )
)
val_dataloader = dict(
    dataset=dict(
        data,
        data_prefix=dict(img_path="img_dir/val", seg_map_path="ann_dir/val"),
        test_mode=True,
        pipeline=test_pipeline,
    )
)
test_dataloader = dict(_base_.val_dataloader, **val_dataloader)
