_base_ = ["bilinearx2_densenet121_1xb64_cats-dogs-subset_150px.py"]

model = dict(resizer=dict(type="mmresizer.LearnedResizer"))
