_base_ = ["bicubicx2_efficientnet-b0_8xb32-ft_ava_224px.py"]

model = dict(resizer=dict(type="mmresizer.LearnedResizer", interpolation="bilinear"))
