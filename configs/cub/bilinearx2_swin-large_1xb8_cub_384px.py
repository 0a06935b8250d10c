_base_ = ["mmpretrain::swin_transformer/swin-large_8xb8_cub-384px.py"]

custom_imports = dict(imports=["mmresizer"], allow_failed_imports=False)

model = dict(
    type="mmresizer.ResizerClassifier",
    resizer=dict(type="mmresizer.InterpolationResizer", output_size=384),
)

# The baseline's field of view at twice its resolution: 1020 -> 768, as 510 -> 384
# there.
input_size = 768
for pipeline in (_base_.train_pipeline, _base_.test_pipeline):
    pipeline[0].type = "mmresizer.LoadImageFromFile"
    pipeline[1].scale = input_size * 510 // 384
    pipeline[2].crop_size = input_size
train_dataloader = dict(dataset=dict(pipeline=_base_.train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))

# MMPretrain's recipe is for 8 GPUs; this one is for a single GPU, an eighth of the
# batch.
optim_wrapper = dict(optimizer=dict(lr=5e-6 / 8))
auto_scale_lr = dict(base_batch_size=8)
default_hooks = dict(
    resizer=dict(type="mmresizer.ResizerVisualizationHook", interval=10)
)
