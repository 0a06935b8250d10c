_base_ = [
    "../_base_/models/bilinear_efficientnet-lite0.py",
    "../_base_/datasets/cub_100_224.py",
    "../_base_/schedules/sgd_finetune_20e.py",
    "../_base_/default_runtime.py",
]

model = dict(resizer=dict(output_size=56, antialias=True), num_classes=100)
# What the weights were trained with.
data_preprocessor = dict(mean=[127.0, 127.0, 127.0], std=[128.0, 128.0, 128.0])
# Written by tools/model_converters/convert_efficientnet_lite0.py.
load_from = "data/weights/efficientnet-lite0.pth"
