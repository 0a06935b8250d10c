_base_ = [
    "../_base_/models/bilinear_inception-v2.py",
    "../_base_/datasets/in1k_320.py",
    "../_base_/schedules/paper_finetune.py",
    "../_base_/default_runtime.py",
]

model = dict(resizer=dict(output_size=224))
# No weights are published; these come from training that config.
load_from = "work_dirs/bilinearx1_inception-v2_8xb32_in1k_224px/epoch_100.pth"
