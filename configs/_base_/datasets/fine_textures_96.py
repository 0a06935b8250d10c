# Procedural images, made when they are read: 8 orientations of a grating of 3 px a
# period.
data_preprocessor = dict(
    num_classes=8,
    mean=[127.5, 127.5, 127.5],
    std=[60.0, 60.0, 60.0],
    to_rgb=True,
)

train_dataloader = dict(
    batch_size=32,
    num_workers=1,
    dataset=dict(
        type="mmresizer.FineTextures",
        num_samples=1600,
        split="train",
        pipeline=[dict(type="PackInputs")],
    ),
    sampler=dict(type="DefaultSampler", shuffle=True),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=1,
    dataset=dict(
        type="mmresizer.FineTextures",
        num_samples=400,
        split="val",
        pipeline=[dict(type="PackInputs")],
    ),
    sampler=dict(type="DefaultSampler", shuffle=False),
)
val_evaluator = dict(type="Accuracy", topk=(1,))

test_dataloader = val_dataloader
test_evaluator = val_evaluator
