_base_ = [
    "../_base_/models/bilinear_mobilenet-v2.py",
    "../_base_/datasets/flowers12_224.py",
    "../_base_/schedules/sgd_40e.py",
    "../_base_/default_runtime.py",
]

model = dict(resizer=dict(output_size=56), head=dict(num_classes=12))
