# 720 + 240 photographs of flowers, each degraded by a known amount, those for training
# in four ways.
_base_ = ["iqa_bs32.py"]

train_pipeline = [
    dict(type="ResizeEdge", scale=224, edge="short"),
    dict(type="CenterCrop", crop_size=224),
    dict(type="RandomFlip", prob=0.5, direction="horizontal"),
    dict(type="PackInputs"),
]
test_pipeline = [
    dict(type="ResizeEdge", scale=224, edge="short"),
    dict(type="CenterCrop", crop_size=224),
    dict(type="PackInputs"),
]

train_dataloader = dict(
    dataset=dict(
        type="mmresizer.DegradedImages",
        data_root="data/flowers12/train",
        split="train",
        repeats=4,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    dataset=dict(
        type="mmresizer.DegradedImages",
        data_root="data/flowers12/val",
        split="val",
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
