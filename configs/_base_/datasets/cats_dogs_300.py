# Asirra's cats and dogs, one folder a class, stretched to squares as in Keras's
# example.
data_preprocessor = dict(
    num_classes=2,
    # RGB format normalization parameters
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    to_rgb=True,
)

train_pipeline = [
    dict(type="mmresizer.LoadImage"),
    dict(type="Resize", scale=(300, 300)),
    dict(type="RandomFlip", prob=0.5, direction="horizontal"),
    dict(type="PackInputs"),
]
test_pipeline = [
    dict(type="mmresizer.LoadImage"),
    dict(type="Resize", scale=(300, 300)),
    dict(type="PackInputs"),
]

train_dataloader = dict(
    batch_size=32,
    num_workers=2,
    dataset=dict(
        type="CustomDataset",
        data_root="data/cats_dogs",
        data_prefix="train",
        pipeline=train_pipeline,
    ),
    sampler=dict(type="DefaultSampler", shuffle=True),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=2,
    dataset=dict(
        type="CustomDataset",
        data_root="data/cats_dogs",
        data_prefix="val",
        pipeline=test_pipeline,
    ),
    sampler=dict(type="DefaultSampler", shuffle=False),
)
val_evaluator = dict(type="Accuracy", topk=(1,))

test_dataloader = val_dataloader
test_evaluator = val_evaluator
