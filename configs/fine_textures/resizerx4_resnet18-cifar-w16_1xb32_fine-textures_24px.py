_base_ = ["bilinearx4_resnet18-cifar-w16_1xb32_fine-textures_24px.py"]

model = dict(resizer=dict(type="mmresizer.LearnedResizer"))
