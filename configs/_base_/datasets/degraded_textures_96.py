# Random textures, degraded by a known amount, made when they are read.
_base_ = ["iqa_bs32.py"]

train_dataloader = dict(
    dataset=dict(
        type="mmresizer.DegradedTextures",
        num_samples=2400,
        split="train",
        pipeline=[dict(type="PackInputs")],
    ),
)
val_dataloader = dict(
    dataset=dict(
        type="mmresizer.DegradedTextures",
        num_samples=400,
        split="val",
        pipeline=[dict(type="PackInputs")],
    ),
)
test_dataloader = val_dataloader
