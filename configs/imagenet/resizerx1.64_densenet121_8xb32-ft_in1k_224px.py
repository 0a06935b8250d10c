_base_ = ["bilinearx1.64_densenet121_8xb32-ft_in1k_224px.py"]

model = dict(resizer=dict(type="mmresizer.LearnedResizer"))
