_base_ = [
    "../_base_/models/bicubic_efficientnet-b0_iqa.py",
    "../_base_/datasets/ava_224.py",
    "../_base_/schedules/paper_finetune_efficientnet-b0.py",
]
