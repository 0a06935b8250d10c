_base_ = ["mmseg::segformer/segformer_mit-b0_8xb1-160k_cityscapes-1024x1024.py"]

custom_imports = dict(imports=["mmresizer"], allow_failed_imports=False)

crop_size = (1024, 2048)  # 512x1024 behind the resizer
data_preprocessor = dict(size=crop_size)
model = dict(
    type="mmresizer.ResizerSegmentor",
    segmentor="EncoderDecoder",
    resizer=dict(type="mmresizer.InterpolationResizer", scale_factor=1 / 2),
    data_preprocessor=data_preprocessor,
    backbone=dict(init_cfg=None),  # all weights are from the segmentor below
    # It has been trained on squares, and tested in squares that slide over the image.
    test_cfg=dict(_delete_=True, mode="whole"),
)
load_from = "https://mmassets.onedl.ai/mmsegmentation/v0.5/segformer/segformer_mit-b0_8x1_1024x1024_160k_cityscapes/segformer_mit-b0_8x1_1024x1024_160k_cityscapes_20211208_101857-e7f88502.pth"

# MMSegmentation's pipelines, with crops of the size of a whole image.
train_pipeline = _base_.train_pipeline
train_pipeline[3].crop_size = crop_size
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

# MMSegmentation's recipe at a tenth of the rate, over 20,000 iterations.
optim_wrapper = dict(optimizer=dict(lr=0.000006))
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-6, by_epoch=False, begin=0, end=1500),
    dict(type="PolyLR", power=1.0, eta_min=0, begin=1500, end=20000, by_epoch=False),
]
train_cfg = dict(max_iters=20000, val_interval=2000)
default_hooks = dict(checkpoint=dict(interval=2000))
auto_scale_lr = dict(enable=False, base_batch_size=8 * 1)
custom_hooks = [dict(type="mmresizer.ResizerOptimizerHook", lr=3e-4)]
