"""ResizerSegmentor equals the segmentor in it, fed with the resized batch."""

import pickle
import random
from copy import deepcopy
from functools import cache

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from mmengine.config import ConfigDict
from mmengine.hub import get_config
from mmengine.model import ExponentialMovingAverage, revert_sync_batchnorm
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from mmseg.models.segmentors import CascadeEncoderDecoder
from mmseg.structures import SegDataSample
from torch import nn

from mmresizer.models import ResizerSegmentor
from mmresizer.registry import MODELS
from mmresizer.utils import InputError

# Model by model, MMSegmentation's own configs.
CONFIGS = {
    "FCN": "fcn/fcn_r18-d8_4xb2-80k_cityscapes-512x1024.py",
    "PSPNet": "pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py",
    "DeepLabV3+": "deeplabv3plus/deeplabv3plus_r18-d8_4xb2-80k_cityscapes-512x1024.py",
    "EncNet": "encnet/encnet_r50-d8_4xb2-40k_cityscapes-512x1024.py",
    "SegFormer": "segformer/segformer_mit-b0_8xb1-160k_cityscapes-1024x1024.py",
    "UPerNet": "swin/swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512"
    ".py",
    "Segmenter": "segmenter/segmenter_vit-t_mask_8xb1-160k_ade20k-512x512.py",
    "PointRend": "point_rend/pointrend_r50_4xb2-80k_cityscapes-512x1024.py",
    "OCRNet": "ocrnet/ocrnet_hr18s_4xb2-40k_cityscapes-512x1024.py",
    "BiSeNetV2": "bisenetv2/bisenetv2_fcn_4xb4-160k_cityscapes-1024x1024.py",
    "STDC": "stdc/stdc1_4xb12-80k_cityscapes-512x1024.py",
    "PIDNet": "pidnet/pidnet-s_2xb6-120k_1024x1024-cityscapes.py",
    "UNet": "unet/unet-s5-d16_fcn_4xb4-160k_cityscapes-512x1024.py",
    "MaskFormer": "maskformer/maskformer_r50-d32_8xb2-160k_ade20k-512x512.py",
    "Mask2Former": "mask2former/mask2former_r50_8xb2-90k_cityscapes-512x1024.py",
}
NEED_MMDET = ("MaskFormer", "Mask2Former")
NEED_OPERATORS = (*NEED_MMDET, "PointRend")  # of mmcv
MODELS_TO_TEST = [
    pytest.param(name, marks=[pytest.mark.detection] * (name in NEED_OPERATORS))
    for name in CONFIGS
]
SIZE = (96, 160)
RESIZERS = {
    "half": dict(scale_factor=0.5),
    "fixed": dict(output_size=(64, 112)),
    "odd": dict(output_size=(65, 101)),
}
# Their own networks do not take other sizes.
MULTIPLES = {"UNet": 16, "Segmenter": 16, "PIDNet": 8}


@pytest.fixture(autouse=True)
def default_scope():
    """MMSegmentation's configs set it."""
    with DefaultScope.overwrite_default_scope("mmseg"):
        yield


def seed():
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@cache
def tiny_config(name):
    """Returns the config of a model, without weights to download, for small images."""
    cfg = get_config(f"mmseg::{CONFIGS[name]}").model
    cfg.pop("pretrained", None)
    cfg.backbone.pop("init_cfg", None)
    cfg.data_preprocessor.size = SIZE
    cfg.data_preprocessor.pop("test_cfg", None)
    cfg.test_cfg.update(mode="whole")
    if name == "Segmenter":
        cfg.backbone.img_size = (48, 80)
    return cfg


@cache
def get_plain(name):
    seed()
    return revert_sync_batchnorm(MODELS.build(deepcopy(tiny_config(name))))


def build(name, size, test_cfg=None, **changes):
    """Builds a segmentor with a resizer, of the plain one's weights."""
    config = deepcopy(tiny_config(name))
    config.segmentor = config.pop("type")
    config.type = "mmresizer.ResizerSegmentor"
    config.resizer = dict(type="mmresizer.InterpolationResizer", **size)
    config.update(changes)
    if test_cfg:
        config.test_cfg.update(test_cfg)
    model = revert_sync_batchnorm(MODELS.build(config))
    missing, unexpected = model.load_state_dict(
        get_plain(name).state_dict(), strict=False
    )
    assert not unexpected
    assert all(key.startswith("resizer.") for key in missing)
    return model


def make_batch(sizes=(SIZE, SIZE), ori_shape=None, classes=5):
    """Returns images and labels as a pipeline delivers them."""
    rng = np.random.default_rng(0)
    inputs, samples = [], []
    for height, width in sizes:
        inputs.append(torch.tensor(rng.integers(0, 256, (3, height, width), np.uint8)))
        small = torch.tensor(rng.integers(0, classes, (1, 1, 4, 4))).float()
        labels = F.interpolate(small, (height, width))[0].long()
        labels[:, :3] = 255
        edges = (labels == 0).long()
        sample = SegDataSample(
            gt_sem_seg=PixelData(data=labels), gt_edge_map=PixelData(data=edges)
        )
        shape = (height, width)
        sample.set_metainfo(
            dict(img_shape=shape, pad_shape=shape, ori_shape=ori_shape or shape)
        )
        samples.append(sample)
    return dict(inputs=inputs, data_samples=samples)


def preprocess(model, data, training):
    data = model.data_preprocessor(data, training)
    return data["inputs"], data["data_samples"]


def resize(inputs, scale_factor=None, output_size=None):
    """Returns the batch as PyTorch resizes it."""
    shape = output_size or [round(n * scale_factor) for n in inputs.shape[-2:]]
    return F.interpolate(inputs, shape, mode="bilinear")


def take_nearest(labels, shape):
    """Returns a map of labels of shape (1, H, W) in another size."""
    rows, columns = (
        torch.tensor(np.arange(n) * old // n)
        for n, old in zip(shape, labels.shape[-2:], strict=True)
    )
    return labels[:, rows][:, :, columns]


def assert_same(actual, expected):
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(actual[name], value, rtol=0, atol=0, msg=name)


def skip_odd(name, size):
    if name in MULTIPLES and size == RESIZERS["odd"]:
        pytest.skip(f"{name} takes multiples of {MULTIPLES[name]}")


@pytest.mark.parametrize(
    ("size", "resize_labels"),
    [*((name, False) for name in RESIZERS), ("odd", True)],
)
@pytest.mark.parametrize("name", MODELS_TO_TEST)
def test_loss_equals_that_of_the_resized_batch(name, size, resize_labels):
    size = RESIZERS[size]
    skip_odd(name, size)
    plain = get_plain(name).train()
    model = build(name, size, resize_labels=resize_labels).train()
    inputs, samples = preprocess(model, make_batch(), training=True)
    before = deepcopy(samples)
    images = resize(inputs, **size)
    others, shape = [], tuple(images.shape[-2:])
    for sample in samples:
        meta = dict(img_shape=shape, pad_shape=shape, batch_input_shape=shape)
        other = SegDataSample(metainfo=meta)
        for key, value in sample.items():
            data = value.data
            data = take_nearest(data, shape) if resize_labels else data.clone()
            other.set_data({key: PixelData(data=data)})
        others.append(other)
    seed()
    expected = plain.loss(images, others)
    seed()
    losses = model.loss(inputs, samples)
    assert_same(losses, expected)
    total, _ = model.parse_losses(losses)
    assert torch.isfinite(total)
    assert total > 0
    for sample, other in zip(samples, before, strict=True):
        assert sample.metainfo == other.metainfo
        assert all(torch.equal(other.get(k).data, v.data) for k, v in sample.items())


@pytest.mark.parametrize("mode", ["whole", "slide"])
@pytest.mark.parametrize("size", RESIZERS.values(), ids=RESIZERS)
@pytest.mark.parametrize("name", MODELS_TO_TEST)
def test_predictions_equal_those_of_the_resized_batch(name, size, mode):
    """Their logits, at the size of the images."""
    skip_odd(name, size)
    test_cfg = dict(mode=mode, crop_size=(48, 64), stride=(40, 48))
    plain = deepcopy(get_plain(name)).eval()
    plain.test_cfg.update(test_cfg)
    model = build(name, size, test_cfg=test_cfg).eval()
    inputs, samples = preprocess(model, make_batch(), training=False)
    images = resize(inputs, **size)
    shape = tuple(images.shape[-2:])
    # Its data samples are of the images as they came; so MMSegmentation resizes last.
    metas = [dict(img_shape=shape, ori_shape=SIZE) for _ in samples]
    others = [SegDataSample(metainfo=meta) for meta in metas]
    with torch.no_grad():
        expected = plain.predict(images, others)
        actual = model.predict(inputs, samples)
        raw = name not in ("PointRend", *NEED_MMDET)  # MMSegmentation's own limit
        if raw:
            assert_equal(model(inputs), plain(images))
    for sample, other in zip(actual, expected, strict=True):
        logits = sample.seg_logits.data
        torch.testing.assert_close(logits, other.seg_logits.data, rtol=0, atol=0)
        assert logits.shape[-2:] == SIZE
        assert torch.equal(sample.pred_sem_seg.data, other.pred_sem_seg.data)
        assert logits.std() > 0
        assert sample.img_shape == SIZE


def assert_equal(actual, expected):
    if isinstance(expected, torch.Tensor):
        torch.testing.assert_close(actual, expected, rtol=0, atol=0)
        return
    for one, other in zip(actual, expected, strict=True):
        assert_equal(one, other)


# An oracle paints what it sees: the class of the nearest colour.
COLOURS = torch.tensor([[0, 0, 0], [250, 0, 0], [0, 250, 0], [0, 0, 250]]).float()


class Eye(nn.Module):
    def forward(self, images):
        return images


class Oracle(nn.Module):
    num_classes = out_channels = len(COLOURS)
    align_corners = False

    def predict(self, images, metas, test_cfg):
        """Returns logits that are one for the class, and zero for others."""
        distances = (images[:, None] - COLOURS[:, :, None, None]).square().sum(2)
        return F.one_hot(distances.argmin(1), len(COLOURS)).permute(0, 3, 1, 2).float()


def build_oracle(factor, **test_cfg):
    return MODELS.build(
        dict(
            type="mmresizer.ResizerSegmentor",
            segmentor="EncoderDecoder",
            backbone=dict(type=Eye),
            decode_head=dict(type=Oracle),
            data_preprocessor=dict(
                type="SegDataPreProcessor", test_cfg=dict(size_divisor=32)
            ),
            test_cfg=ConfigDict({"mode": "whole"} | test_cfg),
            resizer=dict(
                type="mmresizer.InterpolationResizer",
                scale_factor=1 / factor,
                interpolation="nearest",
            ),
        )
    ).eval()


def score(model, labels, flip=None):
    """Returns the prediction for images that have the colours of their labels."""
    image = COLOURS[labels].permute(2, 0, 1)
    meta = dict(ori_shape=labels.shape, img_shape=labels.shape, flip=bool(flip))
    if flip:
        image = image.flip(2 if flip == "horizontal" else 1)
        meta["flip_direction"] = flip
    data = dict(inputs=[image], data_samples=[SegDataSample(metainfo=meta)])
    inputs, samples = preprocess(model, data, training=False)
    return model.predict(inputs, samples)[0].pred_sem_seg.data[0]


@pytest.mark.parametrize("flip", [None, "horizontal", "vertical"])
@pytest.mark.parametrize("mode", ["whole", "slide"])
def test_an_oracle_sees_what_the_small_grid_shows(mode, flip):
    """All of labels that are constant in each cell of it, at a factor of two.

    There a cell has at least 9/16 of the weight in each of its pixels.
    """
    model = build_oracle(2, mode=mode, crop_size=(32, 32), stride=(24, 20))
    cells = torch.randint(len(COLOURS), (45, 61), generator=torch.manual_seed(0))
    labels = cells.repeat_interleave(2, 0).repeat_interleave(2, 1)
    assert torch.equal(score(model, labels, flip), labels)


@pytest.mark.parametrize("flip", [None, "horizontal", "vertical"])
@pytest.mark.parametrize("factor", [2, 4])
def test_an_oracle_errs_within_a_cell_of_a_boundary_alone(factor, flip):
    """The resized images do not show more."""
    y, x = np.ogrid[:128, :160]
    labels = np.zeros((128, 160), np.int64)
    for label, centre, radius in (
        (1, (40, 50), 31),
        (2, (90, 100), 25),
        (3, (9, 9), 5),
    ):
        labels[(y - centre[0]) ** 2 + (x - centre[1]) ** 2 < radius**2] = label
    kernel = np.ones((2 * factor + 1,) * 2, np.uint8)
    pixels = labels.astype(np.uint8)
    near = cv2.dilate(pixels, kernel) != cv2.erode(pixels, kernel)
    wrong = score(build_oracle(factor), torch.tensor(labels), flip).numpy() != labels
    assert wrong.any()
    assert not (wrong & ~near).any()


def test_padding_and_the_original_size():
    """A batch is padded, and the images had another size before the pipeline."""
    size = RESIZERS["half"]
    model = build("FCN", size, test_cfg=dict(mode="whole")).eval()
    plain = get_plain("FCN").eval()
    model.data_preprocessor.test_cfg = dict(size_divisor=32)
    batch = make_batch([(90, 150)] * 2, ori_shape=(211, 307))
    inputs, samples = preprocess(model, batch, training=False)
    assert inputs.shape[-2:] == (96, 160)
    with torch.no_grad():
        actual = model.predict(inputs, samples)
        meta = dict(img_shape=(48, 80), ori_shape=(48, 80))
        logits = plain.inference(resize(inputs, **size), [meta] * 2)
    logits = F.interpolate(logits, (96, 160), mode="bilinear")[..., :90, :150]
    logits = F.interpolate(logits, (211, 307), mode="bilinear")
    for sample, expected in zip(actual, logits, strict=True):
        torch.testing.assert_close(sample.seg_logits.data, expected, rtol=0, atol=0)


def test_padding_in_training():
    """Images of several sizes; the padding has no label."""
    size = RESIZERS["half"]
    plain, model = get_plain("FCN").train(), build("FCN", size).train()
    batch = make_batch([SIZE, (71, 150)])
    inputs, samples = preprocess(model, batch, training=True)
    assert (samples[1].gt_sem_seg.data[:, 71:] == 255).all()
    seed()
    expected = plain.loss(resize(inputs, **size), samples)
    seed()
    assert_same(model.loss(inputs, samples), expected)
    small = model._resize_sample(samples[1], inputs, resize(inputs, **size))
    assert small.img_shape == (36, 75)
    assert small.pad_shape == (48, 80)


def test_upsizes():
    size = dict(scale_factor=1.5)
    plain, model = get_plain("FCN").eval(), build("FCN", size).eval()
    inputs, samples = preprocess(model, make_batch(), training=False)
    meta = dict(img_shape=(144, 240), ori_shape=SIZE)
    with torch.no_grad():
        actual = model.predict(inputs, samples)
        logits = plain.inference(resize(inputs, **size), [meta] * 2)
    logits = F.interpolate(logits, SIZE, mode="bilinear")
    for sample, expected in zip(actual, logits, strict=True):
        torch.testing.assert_close(sample.seg_logits.data, expected, rtol=0, atol=0)


def test_is_the_segmentor_too():
    model = build("OCRNet", RESIZERS["half"])
    assert isinstance(model, CascadeEncoderDecoder)
    assert isinstance(model, ResizerSegmentor)
    learned = build(
        "FCN", {}, resizer=dict(type="mmresizer.LearnedResizer", scale_factor=0.5)
    )
    names = dict(learned.named_parameters()).keys()
    assert {n for n in names if not n.startswith("resizer.")} == dict(
        get_plain("FCN").named_parameters()
    ).keys()
    # And back, into the plain one.
    found = deepcopy(get_plain("FCN")).load_state_dict(
        learned.state_dict(), strict=False
    )
    assert not found.missing_keys
    assert all(key.startswith("resizer.") for key in found.unexpected_keys)
    copy = pickle.loads(pickle.dumps(learned))
    assert type(copy) is type(learned)
    average = ExponentialMovingAverage(learned)
    inputs, samples = preprocess(learned, make_batch(), training=False)
    with torch.no_grad():
        expected = learned.eval().predict(inputs, deepcopy(samples))
        for other in (copy, average.module):
            actual = other.eval().predict(inputs, deepcopy(samples))
            assert torch.equal(actual[0].seg_logits.data, expected[0].seg_logits.data)


def test_gradients_reach_the_resizer():
    resizer = dict(type="mmresizer.LearnedResizer", scale_factor=0.5)
    model = build("FCN", {}, resizer=resizer).train()
    inputs, samples = preprocess(model, make_batch(), training=True)
    total, _ = model.parse_losses(model.loss(inputs, samples))
    total.backward()
    assert all(p.grad.abs().sum() > 0 for p in model.resizer.parameters())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(segmentor="FCNHead"), "must name a segmentor class .* got 'FCNHead'"),
        (dict(segmentor="None"), "such as 'EncoderDecoder' .* got 'None'"),
        (dict(segmentor=nn.Identity), "must name a segmentor class"),
        (dict(segmentor="DepthEstimator"), "must name .* got 'DepthEstimator'"),
        (dict(resize_labels=1), "resize_labels must be True or False, but got 1"),
    ],
)
def test_bad_arguments(changes, message):
    config = dict(build_config(), **changes)
    with pytest.raises(InputError, match=message):
        MODELS.build(config)


def build_config():
    config = deepcopy(tiny_config("PSPNet"))
    config.segmentor = config.pop("type")
    resizer = dict(type="mmresizer.InterpolationResizer", scale_factor=0.5)
    return dict(config, type="mmresizer.ResizerSegmentor", resizer=resizer)
