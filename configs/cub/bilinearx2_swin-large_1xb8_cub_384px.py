_base_ = ["mmpretrain::swin_transformer/swin-large_8xb8_cub-384px.py"]

custom_imports = dict(imports=["mmresizer"], allow_failed_imports=False)

model = dict(
    type="mmresizer.ResizerClassifier",
    resizer=dict(type="mmresizer.InterpolationResizer", output_size=384),
)

# The baseline's field of view at twice its resolution: 1020 -> 768, as 510 -> 384
# there.
train_pipeline = [
    dict(type="mmresizer.LoadImage"),
    dict(type="Resize", scale=1020),
    dict(type="RandomCrop", crop_size=768),
    dict(type="RandomFlip", prob=0.5, direction="horizontal"),
    dict(type="PackInputs"),
]
test_pipeline = [
    dict(type="mmresizer.LoadImage"),
    dict(type="Resize", scale=1020),
    dict(type="CenterCrop", crop_size=768),
    dict(type="PackInputs"),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))

# MMPretrain's recipe is for 8 GPUs; this one is for a single GPU, an eighth of the
# batch.
optim_wrapper = dict(optimizer=dict(lr=5e-6 / 8))
auto_scale_lr = dict(base_batch_size=8)
default_hooks = dict(
    checkpoint=dict(type="CheckpointHook", interval=1, max_keep_ckpts=3)
)
