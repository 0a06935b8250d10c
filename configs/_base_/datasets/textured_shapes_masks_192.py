# Finely striped discs and triangles, up to 64 px wide; the first use writes them.
_base_ = ["label_maps_bs8.py"]

train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline
train_pipeline[2].scale = test_pipeline[1].scale = (192, 192)

data = dict(
    type="mmresizer.TexturedShapesMasks", data_root="data/textured_shapes_masks/"
)
train_dataloader = dict(dataset=dict(data, split="train", pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(data, split="val", test_mode=True, pipeline=test_pipeline)
)
test_dataloader = dict(_base_.val_dataloader, **val_dataloader)
