_base_ = ["bilinearx2_resnet50_1xb32_imagewoof_224px.py"]

model = dict(resizer=dict(type="mmresizer.LearnedResizer"))
