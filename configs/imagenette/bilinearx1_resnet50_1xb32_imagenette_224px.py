_base_ = [
    "../_base_/models/bilinear_resnet50.py",
    "../_base_/datasets/imagenette_224.py",
    "../_base_/schedules/sgd_40e.py",
    "../_base_/default_runtime.py",
]

model = dict(head=dict(num_classes=10))
