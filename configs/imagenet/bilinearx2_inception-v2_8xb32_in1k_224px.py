_base_ = [
    "../_base_/models/bilinear_inception-v2.py",
    "../_base_/datasets/in1k_448.py",
    "../_base_/schedules/paper_scratch.py",
    "../_base_/default_runtime.py",
]
