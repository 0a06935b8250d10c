_base_ = [
    "../_base_/models/bilinear_resnet14-cifar.py",
    "../_base_/datasets/deep_pcb_patches_96.py",
    "../_base_/schedules/sgd_20e.py",
    "../_base_/default_runtime.py",
]

model = dict(resizer=dict(output_size=12, antialias=True), head=dict(num_classes=6))
