# Images that are decoded once and stay in memory, on the GPU if there is one.
data_preprocessor = dict(
    # RGB format normalization parameters
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    to_rgb=True,
)

train_dataloader = dict(
    batch_size=256,
    num_workers=0,
    pin_memory=False,
    drop_last=True,
    collate_fn=dict(type="take_batch"),
    dataset=dict(type="mmresizer.InMemoryImages", cache_dir="data/.decoded"),
    sampler=dict(type="DefaultSampler", shuffle=True),
)
val_dataloader = dict(
    batch_size=256,
    num_workers=0,
    pin_memory=False,
    collate_fn=dict(type="take_batch"),
    dataset=dict(type="mmresizer.InMemoryImages", cache_dir="data/.decoded"),
    sampler=dict(type="DefaultSampler", shuffle=False),
)
val_evaluator = dict(type="Accuracy", topk=(1,))

test_dataloader = val_dataloader
test_evaluator = val_evaluator
