_base_ = [
    "../_base_/models/bilinear_resnet14-cifar.py",
    "../_base_/datasets/scene_15_200.py",
    "../_base_/schedules/sgd_30e_bs64.py",
    "../_base_/default_runtime.py",
]

train_dataloader = dict(batch_size=64)
model = dict(resizer=dict(output_size=12, antialias=True), head=dict(num_classes=15))
