# ImageNet-1k, cropped as MMPretrain does.
_base_ = ["mmpretrain::_base_/datasets/imagenet_bs32.py"]

_base_.train_pipeline[0].type = "mmresizer.LoadImageFromFile"
_base_.test_pipeline[0].type = "mmresizer.LoadImageFromFile"
train_dataloader = dict(dataset=dict(pipeline=_base_.train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))
