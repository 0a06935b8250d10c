_base_ = [
    "../_base_/models/bilinear_inception-v2.py",
    "../_base_/datasets/in1k_368.py",
    "../_base_/schedules/paper_finetune_inception-v2.py",
]
