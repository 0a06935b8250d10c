_base_ = [
    "../_base_/models/bicubic_densenet121_iqa.py",
    "../_base_/datasets/ava_224.py",
    "../_base_/schedules/paper_finetune_densenet121.py",
]
