_base_ = [
    "bilinearx2_resnet50_1xb8_cub_448px.py",
    "../_base_/schedules/resizer_adamw.py",
]
