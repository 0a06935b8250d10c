_base_ = [
    "../_base_/models/bilinear_mobilenet-v2.py",
    "../_base_/datasets/in1k_368.py",
    "../_base_/schedules/paper_scratch.py",
    "../_base_/default_runtime.py",
]
