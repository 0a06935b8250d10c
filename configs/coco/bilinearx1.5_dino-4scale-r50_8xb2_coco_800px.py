_base_ = ["bilinearx2_dino-4scale-r50_8xb2_coco_800px.py"]

model = dict(
    resizer=dict(scale_factor=2 / 3),
    data_preprocessor=dict(pad_size_divisor=3),
)

# 1.5 times MMDetection's sizes, of the crops too.
train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline
scales = [(short, 2000) for short in range(720, 1200 + 1, 48)]
train_pipeline[3].transforms[0][0].scales = scales
train_pipeline[3].transforms[1][0].scales = [(600, 6300), (750, 6300), (900, 6300)]
train_pipeline[3].transforms[1][1].crop_size = (576, 900)
train_pipeline[3].transforms[1][2].scales = scales
test_pipeline[1].scale = (2000, 1200)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
