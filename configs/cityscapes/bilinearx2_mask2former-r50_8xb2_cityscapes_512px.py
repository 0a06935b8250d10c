_base_ = ["mmseg::mask2former/mask2former_r50_8xb2-90k_cityscapes-512x1024.py"]

custom_imports = dict(imports=["mmresizer", "mmdet.models"], allow_failed_imports=False)

crop_size = (1024, 2048)  # 512x1024 behind the resizer
data_preprocessor = dict(size=crop_size, test_cfg=dict(size_divisor=32 * 2))
model = dict(
    type="mmresizer.ResizerSegmentor",
    segmentor="EncoderDecoder",
    resizer=dict(type="mmresizer.InterpolationResizer", scale_factor=1 / 2),
    data_preprocessor=data_preprocessor,
    backbone=dict(init_cfg=None),  # all weights are from the segmentor below
)
load_from = "https://mmassets.onedl.ai/mmsegmentation/v0.5/mask2former/mask2former_r50_8xb2-90k_cityscapes-512x1024/mask2former_r50_8xb2-90k_cityscapes-512x1024_20221202_140802-ffd9d750.pth"

# MMSegmentation's pipelines, with crops of the size of a whole image.
train_pipeline = _base_.train_pipeline
train_pipeline[3].crop_size = crop_size
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

# MMSegmentation's recipe at a tenth of the rate, over 20,000 iterations.
optim_wrapper = dict(optimizer=dict(lr=0.00001))
param_scheduler = [
    dict(type="PolyLR", power=0.9, eta_min=0, begin=0, end=20000, by_epoch=False)
]
train_cfg = dict(max_iters=20000, val_interval=2000)
default_hooks = dict(checkpoint=dict(interval=2000, save_best=None))
custom_hooks = [dict(type="mmresizer.ResizerOptimizerHook", lr=3e-4)]
