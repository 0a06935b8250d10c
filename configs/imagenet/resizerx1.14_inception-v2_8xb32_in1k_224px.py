_base_ = ["bilinearx1.14_inception-v2_8xb32_in1k_224px.py"]

model = dict(resizer=dict(type="mmresizer.LearnedResizer"))
