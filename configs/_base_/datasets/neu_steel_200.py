# Defects of steel strips, 6 kinds, 1,176 + 593 images.
_base_ = ["in_memory_200.py"]

data_preprocessor = dict(num_classes=6)

images = dict(data_root="data/neu_steel")
train_dataloader = dict(
    dataset=dict(**images, flips=["horizontal", "vertical", "transpose"])
)
val_dataloader = dict(dataset=images)
test_dataloader = val_dataloader
