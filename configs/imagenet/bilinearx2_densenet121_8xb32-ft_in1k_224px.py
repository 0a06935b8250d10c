_base_ = [
    "../_base_/models/bilinear_densenet121.py",
    "../_base_/datasets/in1k_448.py",
    "../_base_/schedules/paper_finetune.py",
    "../_base_/default_runtime.py",
]

model = dict(resizer=dict(output_size=224))
# MMPretrain's weights, trained on bilinearly resized images of 224 px.
load_from = "https://mmassets.onedl.ai/mmclassification/v0/densenet/densenet121_4xb256_in1k_20220426-07450f99.pth"
