# Finely striped discs and triangles, up to 64 px wide; the first use writes them.
data_root = "data/textured_shapes_masks/"

train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations"),
    dict(type="Resize", scale=(192, 192)),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackSegInputs"),
]
# Labels are loaded last: metrics are those of the original pixels.
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=(192, 192)),
    dict(type="LoadAnnotations"),
    dict(type="PackSegInputs"),
]

train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(
        type="mmresizer.TexturedShapesMasks",
        data_root=data_root,
        split="train",
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=1,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        type="mmresizer.TexturedShapesMasks",
        data_root=data_root,
        split="val",
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type="mmresizer.ClasswiseIoUMetric")
test_evaluator = val_evaluator
