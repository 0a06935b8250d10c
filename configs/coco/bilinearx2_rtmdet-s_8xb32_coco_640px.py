_base_ = ["mmdet::rtmdet/rtmdet_s_8xb32-300e_coco.py"]

custom_imports = dict(imports=["mmresizer"], allow_failed_imports=False)

model = dict(
    type="mmresizer.ResizerDetector",
    detector="RTMDet",
    resizer=dict(type="mmresizer.InterpolationResizer", scale_factor=1 / 2),
    size_divisor=32,  # of the neck
    backbone=dict(init_cfg=None),  # all weights are from the detector below
)
load_from = "https://download.openmmlab.com/mmdetection/v3.0/rtmdet/rtmdet_s_8xb32-300e_coco/rtmdet_s_8xb32-300e_coco_20220905_161602-387a891e.pth"

# MMDetection's last stage, in which these weights were trained, at twice its 640x640.
input_size = (1280, 1280)
train_pipeline = _base_.train_pipeline_stage2
train_pipeline[2].scale = train_pipeline[3].crop_size = input_size
train_pipeline[6].size = input_size
test_pipeline = _base_.test_pipeline
test_pipeline[1].scale = test_pipeline[2].size = input_size
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
tta_pipeline = _base_.tta_pipeline
tta_pipeline[1].transforms[0] = [
    dict(type="Resize", scale=(side, side), keep_ratio=True)
    for side in (1280, 640, 1920)
]
tta_pipeline[1].transforms[2][0].size = (1920, 1920)

# MMDetection's recipe, a tenth of the rate, and the schedule of all detectors here.
optim_wrapper = dict(optimizer=dict(lr=0.0004))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type="MultiStepLR", by_epoch=True, milestones=[4, 5], gamma=0.1),
]
train_cfg = dict(
    _delete_=True, type="EpochBasedTrainLoop", max_epochs=6, val_interval=1
)
auto_scale_lr = dict(base_batch_size=8 * 32)
default_hooks = dict(checkpoint=dict(interval=1))
custom_hooks = [
    _base_.custom_hooks[0],  # averages the weights
    dict(type="mmresizer.ResizerOptimizerHook", lr=3e-4),
]
