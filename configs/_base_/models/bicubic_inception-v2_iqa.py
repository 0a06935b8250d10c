# Inception-v2 behind bicubic interpolation, which predicts how people would score an
# image.
_base_ = ["bilinear_inception-v2.py"]

model = dict(
    resizer=dict(interpolation="bicubic"),
    head=dict(_delete_=True, type="mmresizer.IQAHead", in_channels=1024),
)
