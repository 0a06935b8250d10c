_base_ = [
    "bilinearx2_swin-large_1xb8_cub_384px.py",
    "../_base_/schedules/resizer_adamw.py",
]
