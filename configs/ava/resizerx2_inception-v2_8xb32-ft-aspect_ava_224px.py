_base_ = ["bicubicx2_inception-v2_8xb32-ft-aspect_ava_224px.py"]

model = dict(resizer=dict(type="mmresizer.LearnedResizer", interpolation="bilinear"))
