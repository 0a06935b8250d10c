# Patches of 96 px around the defects of circuit boards, 6 kinds, 6,873 + 3,140 images.
_base_ = ["in_memory_bs256.py"]

data_preprocessor = dict(num_classes=6)

images = dict(
    data_root="data/deep_pcb_patches",
    image_size=96,
    pipeline=[
        dict(type="mmresizer.LoadImageFromFile"),
        dict(type="Resize", scale=(96, 96)),
    ],
)
train_dataloader = dict(
    dataset=dict(
        **images,
        data_prefix="train",
        max_shift=8,
        flips=["horizontal", "vertical", "transpose"],
    )
)
val_dataloader = dict(dataset=dict(**images, data_prefix="val"))
test_dataloader = val_dataloader
