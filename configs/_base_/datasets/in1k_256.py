# ImageNet-1k at 256 px, with the field of view of the usual crop.
_base_ = ["in1k_224.py"]

input_size = 256
_base_.train_pipeline[1].scale = input_size
_base_.test_pipeline[1].scale = input_size * 256 // 224
_base_.test_pipeline[2].crop_size = input_size
train_dataloader = dict(dataset=dict(pipeline=_base_.train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))
