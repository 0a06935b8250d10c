# Photographs of magnetic tiles with the pixels of 5 kinds of defects, 904 + 440 images.
data_root = "data/magnetic_tiles/"
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

train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations"),
    dict(type="Resize", scale=(256, 256)),
    dict(type="RandomFlip", prob=[0.3, 0.3], direction=["horizontal", "vertical"]),
    dict(type="PackSegInputs"),
]
# Labels are loaded last: metrics are those of the original pixels.
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=(256, 256)),
    dict(type="LoadAnnotations"),
    dict(type="PackSegInputs"),
]

train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(
        type="BaseSegDataset",
        data_root=data_root,
        metainfo=metainfo,
        data_prefix=dict(img_path="img_dir/train", seg_map_path="ann_dir/train"),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=1,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        type="BaseSegDataset",
        data_root=data_root,
        metainfo=metainfo,
        data_prefix=dict(img_path="img_dir/val", seg_map_path="ann_dir/val"),
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type="mmresizer.ClasswiseIoUMetric")
test_evaluator = val_evaluator
