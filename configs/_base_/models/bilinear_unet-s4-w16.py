# U-Net for small images, small enough for a CPU: four stages, a quarter of the usual
# channels. A learned config replaces the resizer's type.
_base_ = ["mmseg::_base_/models/fcn_unet_s5-d16.py"]

norm_cfg = dict(type="BN", requires_grad=True)
model = dict(
    type="mmresizer.ResizerSegmentor",
    segmentor="EncoderDecoder",
    resizer=dict(type="mmresizer.InterpolationResizer", scale_factor=0.5),
    data_preprocessor=dict(size_divisor=1),  # no padding
    backbone=dict(
        base_channels=16,
        num_stages=4,
        strides=(1, 1, 1, 1),
        enc_num_convs=(2, 2, 2, 2),
        dec_num_convs=(2, 2, 2),
        downsamples=(True, True, True),
        enc_dilations=(1, 1, 1, 1),
        dec_dilations=(1, 1, 1),
        norm_cfg=norm_cfg,
    ),
    decode_head=dict(in_channels=16, in_index=3, channels=16, norm_cfg=norm_cfg),
    auxiliary_head=None,
    test_cfg=dict(_delete_=True, mode="whole"),
)
