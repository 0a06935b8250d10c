# 900 + 1,000 of Asirra's cats and dogs, each degraded by a known amount, in their own
# aspect ratios and the area of 320 x 320.
_base_ = ["iqa_bs32.py"]

train_pipeline = [
    dict(type="mmresizer.AspectRatioResize", size=320),
    dict(type="RandomFlip", prob=0.5, direction="horizontal"),
    dict(type="PackInputs"),
]
test_pipeline = [
    dict(type="mmresizer.AspectRatioResize", size=320),
    dict(type="PackInputs"),
]

train_dataloader = dict(
    batch_sampler=dict(type="mmresizer.SameShapeBatchSampler"),
    dataset=dict(
        type="mmresizer.DegradedImages",
        data_root="data/cats_dogs/train",
        split="train",
        repeats=3,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_sampler=dict(type="mmresizer.SameShapeBatchSampler"),
    dataset=dict(
        type="mmresizer.DegradedImages",
        data_root="data/cats_dogs/val",
        split="val",
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
