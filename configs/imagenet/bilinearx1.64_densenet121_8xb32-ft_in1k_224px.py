_base_ = [
    "../_base_/models/bilinear_densenet121.py",
    "../_base_/datasets/in1k_368.py",
    "../_base_/schedules/paper_finetune_densenet121.py",
]
