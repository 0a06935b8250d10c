_base_ = [
    "mmseg::_base_/models/deeplabv3plus_r50-d8.py",
    "mmseg::_base_/datasets/ade20k.py",
    "../_base_/schedules/segmentor_finetune_20k.py",
]

crop_size = (1024, 1024)  # 512x512 behind the resizer
data_preprocessor = dict(size=crop_size)
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

# Twice MMSegmentation's sizes, of the crops too.
train_pipeline = _base_.train_pipeline
train_pipeline[2].scale = (4096, 1024)
train_pipeline[3].crop_size = crop_size
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
test_pipeline = _base_.test_pipeline
test_pipeline[1].scale = (4096, 1024)
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
tta_pipeline = _base_.tta_pipeline
tta_pipeline[1].transforms[0] = [
    dict(type="Resize", scale_factor=ratio, keep_ratio=True)
    for ratio in (1.0, 1.5, 2.0, 2.5, 3.0, 3.5)
]

auto_scale_lr = dict(enable=False, base_batch_size=4 * 4)
