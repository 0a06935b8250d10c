_base_ = [
    "mmseg::_base_/models/deeplabv3plus_r50-d8.py",
    "../_base_/datasets/ade20k_1024.py",
    "../_base_/schedules/segmentor_finetune_20k.py",
]

data_preprocessor = dict(size=_base_.crop_size)  # 512x512 behind the resizer
model = dict(
    type="mmresizer.ResizerSegmentor",
    segmentor="EncoderDecoder",
    resizer=dict(type="mmresizer.InterpolationResizer", scale_factor=1 / 2),
    data_preprocessor=data_preprocessor,
    pretrained=None,  # all weights are from the segmentor below
    decode_head=dict(num_classes=150),
    auxiliary_head=dict(num_classes=150),
)
load_from = "https://mmassets.onedl.ai/mmsegmentation/v0.5/deeplabv3plus/deeplabv3plus_r50-d8_512x512_160k_ade20k/deeplabv3plus_r50-d8_512x512_160k_ade20k_20200615_124504-6135c7e0.pth"

auto_scale_lr = dict(enable=False, base_batch_size=4 * 4)
