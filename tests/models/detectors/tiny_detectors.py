"""Detectors of MMDetection's own configs, made tiny; batches; what a resize means."""

from copy import deepcopy

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from mmengine import Config
from mmengine.hub import get_config

# Values by key, wherever it occurs in a config. Scores have no threshold, so that
# models of random weights find something; regions are ignored where they can be.
_BY_KEY = dict(
    conv_out_channels=8,
    dn_cfg=dict(
        label_noise_scale=0.5,
        box_noise_scale=1.0,
        group_cfg=dict(dynamic=True, num_groups=None, num_dn_queries=10),
    ),
    embed_dims=16,
    fc_out_channels=16,
    feat_channels=16,
    feedforward_channels=16,
    ignore_iof_thr=0.5,
    init_cfg=None,
    inner_channels=8,
    iou_thr=0.0,
    max_per_image=20,
    max_per_img=20,
    nms_pre=100,
    num_classes=3,
    num_feats=8,
    num_groups=4,
    num_points=64,
    num_queries=20,
    num_stuff_classes=2,
    num_things_classes=3,
    score_thr=0.0,
    stacked_convs=1,
    stuff_area_limit=16,
    topk=20,
    widen_factor=0.125,
)
_CHANNELS = {256: 16, 96: 32}  # of necks and heads
# Of backbones: ResNet-50 to ResNet-18 of 8 base channels, CSPDarknet to its third.
_STAGES = {256: 8, 512: 16, 1024: 32, 2048: 64, 96: 32, 192: 64, 384: 128}


def _shrink(value, key=""):
    if key in ("topk", "num_points") and isinstance(value, int) and value < 20:
        return value
    if key in _BY_KEY:
        return deepcopy(_BY_KEY[key])
    if isinstance(value, dict):
        small = {k: _shrink(v, k) for k, v in value.items()}
        if small.get("type") == "SyncBN":
            small["type"] = "BN"
        if small.get("type") == "ResNet":
            small.update(depth=18, base_channels=8)
        if small.get("type") in ("DeformableDETRHead", "DINOHead"):
            small["embed_dims"] = 16
        if small.get("type") == "MSDeformAttnPixelDecoder":
            small["encoder"]["layer_cfg"]["self_attn_cfg"]["num_points"] = 2
        if small.get("type") == "RandomSampler":
            small["num"] = 32
        return small
    if key == "num_layers":
        return 2
    if key == "in_channels" and isinstance(value, (list, tuple)):
        return [_STAGES[v] for v in value]
    if key in ("in_channels", "out_channels") and isinstance(value, int):
        return _CHANNELS.get(value, value)
    if isinstance(value, (list, tuple)):
        return [_shrink(v) for v in value]
    return value


# The config in MMDetection, and what else is changed.
_CONFIGS = dict(
    FasterRCNN=("faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py", {}),
    FastRCNN=("fast_rcnn/fast-rcnn_r50_fpn_1x_coco.py", {}),
    MaskRCNN=("mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py", {}),
    CascadeRCNN=("cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco.py", {}),
    PanopticFPN=("panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py", {}),
    RetinaNet=("retinanet/retinanet_r50_fpn_1x_coco.py", {}),
    FCOS=(
        "fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py",
        {"bbox_head.norm_cfg": dict(type="GN", num_groups=4)},
    ),
    YOLOX=(
        "yolox/yolox_tiny_8xb8-300e_coco.py",
        {"data_preprocessor.batch_augments": None},
    ),
    RTMDet=(
        "rtmdet/rtmdet_tiny_8xb32-300e_coco.py",
        {"data_preprocessor.pad_size_divisor": 32},
    ),
    RTMDetIns=(
        "rtmdet/rtmdet-ins_tiny_8xb32-300e_coco.py",
        {
            "data_preprocessor.pad_size_divisor": 32,
            "data_preprocessor.pad_mask": True,
        },
    ),
    CenterNet=(
        "centernet/centernet_r18_8xb16-crop512-140e_coco.py",
        {
            "data_preprocessor.pad_size_divisor": 32,
            "neck.in_channels": 64,
            "neck.num_deconv_filters": (8, 8, 8),
            "bbox_head.in_channels": 8,
        },
    ),
    DETR=("detr/detr_r50_8xb2-150e_coco.py", {}),
    DeformableDETR=("deformable_detr/deformable-detr_r50_16xb2-50e_coco.py", {}),
    DINO=("dino/dino-4scale_r50_8xb2-12e_coco.py", {}),
    Mask2Former=(
        "mask2former/mask2former_r50_8xb2-lsj-50e_coco.py",
        {
            "data_preprocessor.batch_augments": None,
            "panoptic_head.loss_cls.class_weight": [1.0] * 3 + [0.1],
            "panoptic_head.num_stuff_classes": 0,
            "panoptic_fusion_head.num_stuff_classes": 0,
        },
    ),
    PanopticMask2Former=(
        "mask2former/mask2former_r50_8xb2-lsj-50e_coco-panoptic.py",
        {
            "data_preprocessor.batch_augments": None,
            "panoptic_head.loss_cls.class_weight": [1.0] * 5 + [0.1],
            "test_cfg.object_mask_thr": 0.0,
        },
    ),
)
DETECTORS = tuple(_CONFIGS)
PANOPTIC = ("PanopticFPN", "PanopticMask2Former")
WITH_MASKS = ("MaskRCNN", "RTMDetIns", "Mask2Former", *PANOPTIC)


def tiny_config(name):
    """Returns the model of one of MMDetection's configs, made tiny."""
    path, changes = _CONFIGS[name]
    config = Config(dict(model=_shrink(get_config(f"mmdet::{path}").model.to_dict())))
    config.merge_from_dict({f"model.{key}": value for key, value in changes.items()})
    return config.model


def make_batch(name="MaskRCNN", sizes=((97, 123), (110, 85)), polygons=False):
    """Returns images and ground truth as data loaders deliver them.

    The original images are larger by 2 in width and 1.25 in height. Objects are
    rectangles, 3 and 2 of them, and each image has an ignored region.
    """
    from mmdet.structures import DetDataSample
    from mmdet.structures.bbox import HorizontalBoxes
    from mmdet.structures.mask import BitmapMasks, PolygonMasks
    from mmengine.structures import InstanceData, PixelData

    rng = np.random.default_rng(0)
    inputs, samples = [], []
    for i, (height, width) in enumerate(sizes):
        pixels = rng.integers(0, 256, (3, height, width), dtype=np.uint8)
        inputs.append(torch.from_numpy(pixels))
        corners = np.array([(2, 3, 41, 37), (38, 11, 81, 70), (9, 46, 57, 93)][i:])
        boxes = HorizontalBoxes(torch.tensor(corners, dtype=torch.float32) + 0.25)
        sample = DetDataSample(
            metainfo=dict(
                img_id=i,
                img_shape=(height, width),
                ori_shape=(height * 5 // 4, width * 2),
                scale_factor=(0.5, height / (height * 5 // 4)),
            ),
            gt_instances=InstanceData(bboxes=boxes, labels=torch.arange(i, 3) * 2 % 3),
            ignored_instances=InstanceData(
                bboxes=HorizontalBoxes(torch.tensor([[50.0, 20.5, 84.0, 60.0]])),
                labels=torch.tensor([1]),
            ),
        )
        if name == "CenterNet":  # top, bottom, left, right of the image in its frame
            sample.set_metainfo(dict(border=[5.0, height - 6.0, 3.0, width - 4.0]))
        if name == "FastRCNN":
            shifts = torch.tensor([[0.0], [2.0], [-3.0], [9.0]])
            shifted = (boxes.tensor[None] + shifts[:, None]).reshape(-1, 4)
            sample.proposals = InstanceData(
                bboxes=shifted, scores=torch.rand(len(shifted))
            )
        if name in WITH_MASKS:
            if polygons:
                masks = [
                    [np.array([x1, y1, x2, y1, x2, y2, x1 + 5, y2], dtype=np.float32)]
                    for x1, y1, x2, y2 in corners
                ]
                masks = PolygonMasks(masks, height, width)
            else:
                masks = np.zeros((len(corners), height, width), dtype=np.uint8)
                for mask, (x1, y1, x2, y2) in zip(masks, corners, strict=True):
                    mask[y1:y2, x1:x2] = 1
                    mask[y1:y2:3, x1 : x2 : 2 + i] = 0  # no mere boxes
                masks = BitmapMasks(masks, height, width)
            sample.gt_instances.masks = masks
        if name in PANOPTIC:
            labels = torch.full((1, height, width), 3)
            labels[:, height // 3 :] = 4
            labels[:, 70:80, 60:77] = 255
            for label, (x1, y1, x2, y2) in zip(
                sample.gt_instances.labels, corners, strict=True
            ):
                labels[:, y1:y2, x1:x2] = label
            sample.gt_sem_seg = PixelData(sem_seg=labels)
        samples.append(sample)
    return dict(inputs=inputs, data_samples=samples)


def resize_batch(inputs, samples, size, divisor, ground_truth):
    """What the detector should see of a preprocessed batch, said in other words.

    Args:
        inputs (Tensor): Images of shape (N, C, H, W).
        samples (list[DetDataSample]): Their annotations.
        size (tuple[int, int]): Height and width of the resized images.
        divisor (int): The batch is padded, by zeros, to a multiple of it.
        ground_truth (bool): Whether ground truth is needed.

    Returns:
        tuple: Images, data samples, and the factors of height and width.
    """
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks, PolygonMasks
    from mmengine.structures import InstanceData, PixelData

    old_height, old_width = inputs.shape[2:]
    height, width = size
    full = [-(-n // divisor) * divisor for n in size]
    images = inputs.new_zeros(*inputs.shape[:2], *full)
    images[:, :, :height, :width] = F.interpolate(inputs, size=size, mode="bilinear")
    y, x = height / old_height, width / old_width

    def pixels(shape):
        return round(shape[0] * y), round(shape[1] * x)

    def resize_instances(instances):
        new = InstanceData(**{k: v for k, v in instances.items() if k != "masks"})
        left, top, right, bottom = instances.bboxes.unbind(-1)
        new.bboxes = torch.stack([left * x, top * y, right * x, bottom * y], dim=-1)
        masks = instances.get("masks")
        if isinstance(masks, PolygonMasks):
            polygons = [
                [
                    (p.reshape(-1, 2) * np.array([x, y])).reshape(-1).astype(p.dtype)
                    for p in polygon
                ]
                for polygon in masks.masks
            ]
            new.masks = PolygonMasks(polygons, *full)
        elif masks is not None:
            padded = np.zeros((len(masks), *full), dtype=np.uint8)
            padded[:, :height, :width] = nearest(masks.masks, size)
            new.masks = BitmapMasks(padded, *full)
        return new

    resized = []
    for sample in samples:
        meta = dict(sample.metainfo)
        factor_x, factor_y = meta["scale_factor"]
        meta.update(
            img_shape=pixels(meta["img_shape"]),
            pad_shape=tuple(
                -(-n // divisor) * divisor for n in pixels(meta["pad_shape"])
            ),
            batch_input_shape=tuple(full),
        )
        if not ground_truth:
            meta["scale_factor"] = (factor_x * x, factor_y * y)
        if "border" in meta:
            meta["border"] = np.array(meta["border"]) * [y, y, x, x]
        new = DetDataSample(metainfo=meta)
        if "proposals" in sample:
            new.proposals = resize_instances(sample.proposals)
        if ground_truth:
            new.gt_instances = resize_instances(sample.gt_instances)
            new.ignored_instances = resize_instances(sample.ignored_instances)
        if ground_truth and "gt_sem_seg" in sample:
            labels = torch.full((1, *full), 255)
            old = sample.gt_sem_seg.sem_seg.numpy()
            labels[:, :height, :width] = torch.from_numpy(nearest(old, size))
            new.gt_sem_seg = PixelData(sem_seg=labels)
        resized.append(new)
    return images, resized, (y, x)


def nearest(maps, size):
    """Resizes maps of shape (N, H, W): pixel i is the old pixel floor(i / scale)."""
    rows, columns = (
        np.arange(new) * old // new
        for new, old in zip(size, maps.shape[1:], strict=True)
    )
    return maps[:, rows][:, :, columns]


def assert_same(actual, expected, where=""):
    """Compares anything that data samples and losses hold, bit by bit."""
    from mmdet.structures.bbox import BaseBoxes
    from mmdet.structures.mask import BitmapMasks, PolygonMasks
    from mmengine.structures import BaseDataElement

    assert type(actual) is type(expected), where
    if isinstance(actual, torch.Tensor):
        assert actual.dtype == expected.dtype, where
        torch.testing.assert_close(
            actual, expected, rtol=0, atol=0, equal_nan=True, msg=lambda m: where + m
        )
    elif isinstance(actual, np.ndarray):
        np.testing.assert_array_equal(actual, expected, where)
    elif isinstance(actual, BaseDataElement):
        assert_same(actual.metainfo, expected.metainfo, where)
        assert_same(dict(actual.items()), dict(expected.items()), where)
    elif isinstance(actual, BaseBoxes):
        assert_same(actual.tensor, expected.tensor, where)
    elif isinstance(actual, (BitmapMasks, PolygonMasks)):
        assert (actual.height, actual.width) == (expected.height, expected.width)
        assert_same(actual.masks, expected.masks, where)
    elif isinstance(actual, dict):
        assert actual.keys() == expected.keys(), where
        for key in actual:
            assert_same(actual[key], expected[key], f"{where}{key}: ")
    elif isinstance(actual, (list, tuple)):
        assert len(actual) == len(expected), where
        for i, (a, b) in enumerate(zip(actual, expected, strict=True)):
            assert_same(a, b, f"{where}{i}: ")
    else:
        assert actual == expected, where
