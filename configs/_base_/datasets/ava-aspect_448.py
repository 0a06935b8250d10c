# AVA in its own aspect ratios and the area of 448 x 448; a tenth of the images, drawn
# by a seed, for test.
_base_ = ["iqa_bs32.py"]

train_pipeline = [
    dict(type="mmresizer.LoadImageFromFile"),
    dict(type="mmresizer.AspectRatioResize", size=448),
    dict(type="RandomFlip", prob=0.5, direction="horizontal"),
    dict(type="PackInputs"),
]
test_pipeline = [
    dict(type="mmresizer.LoadImageFromFile"),
    dict(type="mmresizer.AspectRatioResize", size=448),
    dict(type="PackInputs"),
]

dataset = dict(type="mmresizer.AVA", data_root="data/ava")
train_dataloader = dict(
    batch_sampler=dict(type="mmresizer.SameShapeBatchSampler"),
    dataset=dict(**dataset, split="train", pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_sampler=dict(type="mmresizer.SameShapeBatchSampler"),
    dataset=dict(**dataset, split="test", pipeline=test_pipeline),
)
test_dataloader = val_dataloader
