_base_ = [
    "../_base_/models/bicubic_inception-v2_iqa.py",
    "../_base_/datasets/ava_320.py",
    "../_base_/schedules/paper_finetune_inception-v2.py",
]
