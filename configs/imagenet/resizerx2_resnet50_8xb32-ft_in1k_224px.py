_base_ = ["bilinearx2_resnet50_8xb32-ft_in1k_224px.py"]

model = dict(resizer=dict(type="mmresizer.LearnedResizer"))
