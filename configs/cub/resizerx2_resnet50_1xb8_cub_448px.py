_base_ = ["bilinearx2_resnet50_1xb8_cub_448px.py"]

model = dict(resizer=dict(type="mmresizer.LearnedResizer"))
