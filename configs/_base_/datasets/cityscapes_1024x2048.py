# MMSegmentation's pipelines, with crops of the size of a whole image.
_base_ = ["mmseg::_base_/datasets/cityscapes.py"]

crop_size = (1024, 2048)
train_pipeline = _base_.train_pipeline
train_pipeline[3].crop_size = crop_size
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
