_base_ = ["bilinearx2_densenet121_8xb32-ft_in1k_224px.py"]

model = dict(resizer=dict(type="mmresizer.LearnedResizer"))
