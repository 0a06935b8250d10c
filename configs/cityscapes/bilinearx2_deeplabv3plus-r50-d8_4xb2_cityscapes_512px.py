_base_ = [
    "mmseg::_base_/models/deeplabv3plus_r50-d8.py",
    "../_base_/datasets/cityscapes_1024x2048.py",
    "../_base_/schedules/segmentor_finetune_20k.py",
]

data_preprocessor = dict(size=_base_.crop_size)  # 512x1024 behind the resizer
model = dict(
    type="mmresizer.ResizerSegmentor",
    segmentor="EncoderDecoder",
    resizer=dict(type="mmresizer.InterpolationResizer", scale_factor=1 / 2),
    data_preprocessor=data_preprocessor,
    pretrained=None,  # all weights are from the segmentor below
)
load_from = "https://mmassets.onedl.ai/mmsegmentation/v0.5/deeplabv3plus/deeplabv3plus_r50-d8_512x1024_80k_cityscapes/deeplabv3plus_r50-d8_512x1024_80k_cityscapes_20200606_114049-f9fb496d.pth"

auto_scale_lr = dict(enable=False, base_batch_size=4 * 2)
