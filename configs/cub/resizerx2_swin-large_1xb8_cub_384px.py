_base_ = ["bilinearx2_swin-large_1xb8_cub_384px.py"]

model = dict(resizer=dict(type="mmresizer.LearnedResizer"))
