# Images with a class for each pixel, in batches of 8. Who uses it names the data sets
# and sets the size.
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations"),
    dict(type="Resize", scale=None),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackSegInputs"),
]
# Labels are loaded last: metrics are those of the original pixels.
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=None),
    dict(type="LoadAnnotations"),
    dict(type="PackSegInputs"),
]

train_dataloader = dict(
    batch_size=8, num_workers=1, sampler=dict(type="DefaultSampler", shuffle=True)
)
val_dataloader = dict(
    batch_size=8, num_workers=1, sampler=dict(type="DefaultSampler", shuffle=False)
)

val_evaluator = dict(type="mmresizer.ClasswiseIoUMetric")
test_evaluator = val_evaluator
