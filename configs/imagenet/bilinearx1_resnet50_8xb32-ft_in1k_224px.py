_base_ = [
    "../_base_/models/bilinear_resnet50.py",
    "../_base_/datasets/in1k_224.py",
    "../_base_/schedules/paper_finetune.py",
    "../_base_/default_runtime.py",
]

model = dict(resizer=dict(output_size=224))
# MMPretrain's weights, trained on bilinearly resized images of 224 px.
load_from = "https://mmassets.onedl.ai/mmclassification/v0/resnet/resnet50_8xb32_in1k_20210831-ea4938fc.pth"
