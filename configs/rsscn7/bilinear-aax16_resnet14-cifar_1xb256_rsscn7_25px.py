_base_ = [
    "../_base_/models/bilinear_resnet14-cifar.py",
    "../_base_/datasets/rsscn7_400.py",
    "../_base_/schedules/sgd_30e.py",
    "../_base_/default_runtime.py",
]

model = dict(resizer=dict(output_size=25, antialias=True), head=dict(num_classes=7))
