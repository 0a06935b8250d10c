_base_ = ["bilinearx4_mobilenet-v2_1xb32_cats-dogs-subset_75px.py"]

model = dict(resizer=dict(type="mmresizer.LearnedResizer"))
