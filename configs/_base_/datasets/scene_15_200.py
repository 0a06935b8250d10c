# Grey photographs of 15 kinds of places, 1,489 + 2,985 images.
_base_ = ["in_memory_200.py"]

data_preprocessor = dict(num_classes=15)

images = dict(data_root="data/scene_15")
train_dataloader = dict(dataset=dict(**images, flips=["horizontal"]))
val_dataloader = dict(dataset=images)
test_dataloader = val_dataloader
