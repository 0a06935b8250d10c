_base_ = ["mmdet::dino/dino-4scale_r50_8xb2-12e_coco.py"]

custom_imports = dict(imports=["mmresizer"], allow_failed_imports=False)

# Batches are padded such that each of the detector's pixels is made of whole ones.
model = dict(
    type="mmresizer.ResizerDetector",
    detector="DINO",
    resizer=dict(type="mmresizer.InterpolationResizer", scale_factor=1 / 2),
    size_divisor=1,
    data_preprocessor=dict(pad_size_divisor=2),
    backbone=dict(init_cfg=None),  # all weights are from the detector below
)
load_from = "https://download.openmmlab.com/mmdetection/v3.0/dino/dino-4scale_r50_8xb2-12e_coco/dino-4scale_r50_8xb2-12e_coco_20221202_182705-55b2bba2.pth"

# Twice MMDetection's sizes, of the crops too.
train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline
scales = [(short, 2666) for short in range(960, 1600 + 1, 64)]
train_pipeline[3].transforms[0][0].scales = scales
train_pipeline[3].transforms[1][0].scales = [(800, 8400), (1000, 8400), (1200, 8400)]
train_pipeline[3].transforms[1][1].crop_size = (768, 1200)
train_pipeline[3].transforms[1][2].scales = scales
test_pipeline[1].scale = (2666, 1600)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

# MMDetection's recipe, a tenth of the rate and half as long, as of all detectors here.
optim_wrapper = dict(optimizer=dict(lr=0.00001))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type="MultiStepLR", by_epoch=True, milestones=[4, 5], gamma=0.1),
]
train_cfg = dict(max_epochs=6)
custom_hooks = [dict(type="mmresizer.ResizerOptimizerHook", lr=3e-4)]
