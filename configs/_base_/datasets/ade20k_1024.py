# MMSegmentation's pipelines with all sizes times 2, of the crops too.
_base_ = ["mmseg::_base_/datasets/ade20k.py"]

crop_size = (1024, 1024)
train_pipeline = _base_.train_pipeline
train_pipeline[2].scale = (4096, 1024)
train_pipeline[3].crop_size = crop_size
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
test_pipeline = _base_.test_pipeline
test_pipeline[1].scale = (4096, 1024)
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
tta_pipeline = _base_.tta_pipeline
tta_pipeline[1].transforms[0] = [
    dict(type="Resize", scale_factor=ratio, keep_ratio=True)
    for ratio in (1.0, 1.5, 2.0, 2.5, 3.0, 3.5)
]
