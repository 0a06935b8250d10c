_base_ = [
    "../_base_/models/bilinear_resnet50.py",
    "../_base_/datasets/in1k_368.py",
    "../_base_/schedules/paper_finetune_resnet50.py",
]
