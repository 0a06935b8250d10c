_base_ = ["bilinearx2_faster-rcnn-r50-fpn_8xb2_coco_800px.py"]

model = dict(
    resizer=dict(scale_factor=2 / 3),
    data_preprocessor=dict(pad_size_divisor=32 * 3 // 2),
)

# 1.5 times MMDetection's 1333x800.
_base_.train_pipeline[2].scale = _base_.test_pipeline[1].scale = (2000, 1200)
train_dataloader = dict(dataset=dict(pipeline=_base_.train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
