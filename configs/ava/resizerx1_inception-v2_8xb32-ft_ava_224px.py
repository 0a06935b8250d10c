_base_ = ["bicubicx1_inception-v2_8xb32-ft_ava_224px.py"]

model = dict(resizer=dict(type="mmresizer.LearnedResizer", interpolation="bilinear"))
