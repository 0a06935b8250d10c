_base_ = ["bilinearx2_resnet50_1xb32_imagenette_224px.py"]

model = dict(resizer=dict(type="mmresizer.LearnedResizer"))
