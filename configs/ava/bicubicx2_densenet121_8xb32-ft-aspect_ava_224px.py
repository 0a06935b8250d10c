_base_ = [
    "../_base_/models/bicubic_densenet121_iqa.py",
    "../_base_/datasets/ava-aspect_448.py",
    "../_base_/schedules/paper_finetune_densenet121.py",
]

model = dict(resizer=dict(output_size=None, scale_factor=0.5))
