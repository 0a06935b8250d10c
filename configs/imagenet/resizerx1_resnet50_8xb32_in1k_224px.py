_base_ = ["bilinearx1_resnet50_8xb32_in1k_224px.py"]

model = dict(resizer=dict(type="mmresizer.LearnedResizer"))
