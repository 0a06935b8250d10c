_base_ = ["bilinearx2_rtmdet-s_8xb32_coco_640px.py"]

model = dict(resizer=dict(scale_factor=2 / 3))

# 1.5 times MMDetection's 640x640.
input_size = (960, 960)
train_pipeline = _base_.train_pipeline
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
    for side in (960, 480, 1440)
]
tta_pipeline[1].transforms[2][0].size = (1440, 1440)
