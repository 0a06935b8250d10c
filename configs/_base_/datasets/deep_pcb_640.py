# Circuit boards of 640 px with small defects of 6 kinds, 1,000 + 500 images.
data_root = "data/deep_pcb/"
metainfo = dict(classes=("open", "short", "mousebite", "spur", "copper", "pin-hole"))

# Keeps the size, and sets the `scale_factor` that detectors divide boxes by.
resize = dict(type="Resize", scale=(640, 640), keep_ratio=True)
train_pipeline = [
    dict(type="mmresizer.LoadImageFromFile"),
    dict(type="LoadAnnotations", with_bbox=True),
    resize,
    dict(
        type="RandomFlip",
        prob=[0.25, 0.25, 0.25],
        direction=["horizontal", "vertical", "diagonal"],
    ),
    dict(type="PackDetInputs"),
]
test_pipeline = [
    dict(type="mmresizer.LoadImageFromFile"),
    resize,
    dict(type="LoadAnnotations", with_bbox=True),
    dict(
        type="PackDetInputs",
        meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor"),
    ),
]

train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(
        type="CocoDataset",
        data_root=data_root,
        metainfo=metainfo,
        data_prefix=dict(img=""),
        ann_file="annotations/instances_train.json",
        filter_cfg=dict(filter_empty_gt=True),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=1,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        type="CocoDataset",
        data_root=data_root,
        metainfo=metainfo,
        data_prefix=dict(img=""),
        ann_file="annotations/instances_val.json",
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(
    type="CocoMetric",
    ann_file=data_root + "annotations/instances_val.json",
    metric="bbox",
    classwise=True,
)
test_evaluator = val_evaluator
