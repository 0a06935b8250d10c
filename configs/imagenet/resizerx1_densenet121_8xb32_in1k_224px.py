_base_ = ["bilinearx1_densenet121_8xb32_in1k_224px.py"]

model = dict(resizer=dict(type="mmresizer.LearnedResizer"))
