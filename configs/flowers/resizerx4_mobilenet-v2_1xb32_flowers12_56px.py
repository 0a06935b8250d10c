_base_ = ["bilinearx4_mobilenet-v2_1xb32_flowers12_56px.py"]

model = dict(resizer=dict(type="mmresizer.LearnedResizer"))
