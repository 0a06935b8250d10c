_base_ = [
    "../_base_/models/bilinear_mobilenet-v2.py",
    "../_base_/datasets/in1k_320.py",
    "../_base_/schedules/paper_finetune.py",
    "../_base_/default_runtime.py",
]

model = dict(resizer=dict(output_size=224))
# MMPretrain's weights, trained on bilinearly resized images of 224 px.
load_from = "https://mmassets.onedl.ai/mmclassification/v0/mobilenet_v2/mobilenet_v2_batch256_imagenet_20200708-3b2dc3af.pth"
