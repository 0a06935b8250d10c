"""ResizerDetector equals the detector in it, fed with the resized batch."""

import pickle
import random
from copy import deepcopy
from functools import cache
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmcv.cnn import fuse_conv_bn
from mmdet.apis import DetInferencer, inference_detector, init_detector
from mmdet.engine.hooks import YOLOXModeSwitchHook
from mmdet.models.detectors import BaseDetector, FasterRCNN, RetinaNet
from mmdet.registry import MODELS as DETECTION_MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks, PolygonMasks
from mmengine.config import ConfigDict
from mmengine.model import ExponentialMovingAverage
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import DefaultScope
from mmengine.runner.checkpoint import load_checkpoint
from mmengine.structures import InstanceData, PixelData
from tiny_detectors import (
    DETECTORS,
    PANOPTIC,
    WITH_MASKS,
    assert_same,
    make_batch,
    resize_batch,
    tiny_config,
)

from mmresizer.models import ResizerDetector
from mmresizer.registry import MODELS
from mmresizer.utils import InputError

pytestmark = pytest.mark.detection

LEARNED = dict(type="mmresizer.LearnedResizer", scale_factor=0.5)
RESIZERS = {
    "0.5": dict(scale_factor=0.5),
    "2": dict(scale_factor=2.0),
    "0.75": dict(scale_factor=0.75),
    "fixed": dict(output_size=(96, 70)),
}


@pytest.fixture(autouse=True)
def default_scope():
    """MMDetection's configs set it."""
    with DefaultScope.overwrite_default_scope("mmdet"):
        yield


def seed():
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@cache
def get_config(name):
    return tiny_config(name)


@cache
def get_plain(name):
    seed()
    model = MODELS.build(deepcopy(get_config(name)))
    if name == "DINO":  # whose constructor leaves this as the memory was, maybe NaN
        torch.nn.init.normal_(model.level_embed)
    if name == "RTMDetIns":  # whose boxes would have no area
        for layer in model.bbox_head.rtm_reg:
            layer.bias.data.fill_(1.0)
    return model


def build(name, size=None, **changes):
    """Builds a tiny detector; with a resizer, of the plain one's weights."""
    config = deepcopy(get_config(name))
    config["detector"] = config.pop("type")
    config["type"] = "mmresizer.ResizerDetector"
    config["resizer"] = dict(type="mmresizer.InterpolationResizer", **(size or {}))
    config.update(changes)
    model = MODELS.build(config)
    missing, unexpected = model.load_state_dict(
        get_plain(name).state_dict(), strict=False
    )
    assert not unexpected
    assert all(key.startswith("resizer.") for key in missing)
    return model


def new_size(shape, scale_factor=None, output_size=None):
    if output_size:
        return output_size
    return int(shape[0] * scale_factor), int(shape[1] * scale_factor)


def preprocess(model, data, training):
    data = model.data_preprocessor(data, training)
    return data["inputs"], data["data_samples"]


@pytest.mark.parametrize("size", RESIZERS.values(), ids=RESIZERS)
@pytest.mark.parametrize("name", DETECTORS)
def test_loss_equals_that_of_the_resized_batch(name, size):
    plain, model = get_plain(name).train(), build(name, size).train()
    inputs, samples = preprocess(model, make_batch(name), training=True)
    before = deepcopy((inputs, samples))
    resized = resize_batch(
        inputs,
        samples,
        new_size(inputs.shape[2:], **size),
        divisor=model.data_preprocessor.pad_size_divisor,
        ground_truth=True,
    )
    seed()
    expected = plain(*resized[:2], mode="loss")
    seed()
    losses = model(inputs, samples, mode="loss")
    assert_same(losses, expected)
    total, _ = model.parse_losses(losses)
    assert torch.isfinite(total)
    assert total > 0
    assert_same((inputs, samples), before)


@pytest.mark.parametrize("rescale", [True, False])
@pytest.mark.parametrize("size", RESIZERS.values(), ids=RESIZERS)
@pytest.mark.parametrize("name", DETECTORS)
def test_predictions_equal_those_of_the_resized_batch(name, size, rescale):
    plain, model = get_plain(name).eval(), build(name, size).eval()
    inputs, samples = preprocess(model, make_batch(name), training=False)
    before = deepcopy((inputs, samples))
    if not rescale:  # as if the pipeline had not resized them
        for sample in samples:
            sample.set_metainfo(
                dict(scale_factor=(1.0, 1.0), ori_shape=sample.img_shape)
            )
    images, resized, (y, x) = resize_batch(
        inputs,
        samples,
        new_size(inputs.shape[2:], **size),
        divisor=model.data_preprocessor.pad_size_divisor,
        ground_truth=False,
    )
    inputs, samples = deepcopy(before)
    with torch.no_grad():
        expected = plain.predict(images, deepcopy(resized))
        if name not in WITH_MASKS:  # of which some fail, or take boxes from masks
            raw = plain.predict(images, resized, rescale=False)
        actual = model.predict(inputs, samples, rescale=rescale)
    assert_same((inputs, samples), before)
    for i in range(2):
        predictions, others = (
            {key: v for key, v in sample.items() if key.startswith("pred_")}
            for sample in (actual[i], expected[i])
        )
        assert_same(predictions, others)
        # What is no prediction is what was passed in.
        assert_same(actual[i].metainfo, samples[i].metainfo)
        assert_same(actual[i].gt_instances, samples[i].gt_instances)
        shape = samples[i].ori_shape if rescale else samples[i].img_shape
        assert ("pred_panoptic_seg" in predictions) == (name in PANOPTIC)
        if name in PANOPTIC:
            segments = predictions["pred_panoptic_seg"].sem_seg
            assert segments.shape == (1, *shape)
            assert segments.unique().numel() > 1
        if name == "PanopticFPN":
            continue
        instances = predictions["pred_instances"]
        assert len(instances) > 0
        # RTMDet-Ins takes the factor of the width for that of the height.
        if name in WITH_MASKS and (name, size) != ("RTMDetIns", RESIZERS["fixed"]):
            assert instances.masks.shape == (len(instances), *shape)
        if name not in WITH_MASKS:
            factor = samples[i].scale_factor if rescale else (1.0, 1.0)
            factor = torch.tensor([factor[0] * x, factor[1] * y]).repeat(2)
            expected_boxes = raw[i].pred_instances.bboxes
            torch.testing.assert_close(instances.bboxes * factor, expected_boxes)


def test_polygons():
    """The loss of masks that are polygons."""
    size = RESIZERS["fixed"]
    plain, model = get_plain("MaskRCNN").train(), build("MaskRCNN", size).train()
    inputs, samples = preprocess(model, make_batch(polygons=True), training=True)
    assert isinstance(samples[0].gt_instances.masks, PolygonMasks)
    before = deepcopy((inputs, samples))
    resized = resize_batch(inputs, samples, (96, 70), 32, ground_truth=True)
    seed()
    expected = plain(*resized[:2], mode="loss")
    seed()
    assert_same(model(inputs, samples, mode="loss"), expected)
    assert_same((inputs, samples), before)


@pytest.mark.parametrize("name", ["FasterRCNN", "RetinaNet", "YOLOX", "DETR"])
def test_raw_outputs_equal_those_of_the_resized_batch(name):
    size = RESIZERS["0.75"]
    plain, model = get_plain(name).eval(), build(name, size).eval()
    inputs, samples = preprocess(model, make_batch(name), training=False)
    before = deepcopy((inputs, samples))
    divisor = model.data_preprocessor.pad_size_divisor
    new = new_size(inputs.shape[2:], **size)
    images, resized, _ = resize_batch(inputs, samples, new, divisor, False)
    with torch.no_grad():
        expected = plain(images, resized, mode="tensor")
        assert_same(model(inputs, samples, mode="tensor"), expected)
        assert_same((inputs, samples), before)
        if name in ("RetinaNet", "YOLOX"):  # the others need the samples
            assert_same(model(inputs), plain(images))


@pytest.mark.parametrize("name", ["FasterRCNN", "RetinaNet"])
def test_fused_norms_leave_the_outputs(name):
    """As users of `init_detector` fuse them."""
    model = build(name, resizer=LEARNED).eval()
    seed()
    for m in model.modules():
        if isinstance(m, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(m.running_mean, -0.5, 0.5)
            torch.nn.init.uniform_(m.running_var, 0.5, 2)
    inputs, _ = preprocess(model, make_batch(name), training=False)
    with torch.no_grad():
        expected = model.extract_feat(model._resize(inputs)[0])
        fused = fuse_conv_bn(deepcopy(model))
        actual = fused.extract_feat(fused._resize(inputs)[0])
    norms = [m for m in fused.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert norms == [fused.resizer.stem.norm]
    for a, b in zip(actual, expected, strict=True):
        assert (a - b).abs().max() < 1e-4 * b.abs().max()


@DETECTION_MODELS.register_module(force=True)
class RecordingDetector(BaseDetector):
    """Keeps what it is given."""

    def loss(self, batch_inputs, batch_data_samples):
        self.seen = batch_inputs, batch_data_samples
        return dict(loss=batch_inputs.mean())

    def predict(self, batch_inputs, batch_data_samples, rescale=True):
        self.seen = batch_inputs, batch_data_samples
        for sample in batch_data_samples:
            sample.pred_instances = InstanceData()
        return batch_data_samples

    def _forward(self, batch_inputs, batch_data_samples=None):
        self.seen = batch_inputs, batch_data_samples

    def extract_feat(self, batch_inputs):
        raise NotImplementedError


def recorder(resizer, size_divisor=None, **data_preprocessor):
    return MODELS.build(
        dict(
            type="mmresizer.ResizerDetector",
            detector="RecordingDetector",
            resizer=dict(type="mmresizer.InterpolationResizer", **resizer),
            size_divisor=size_divisor,
            data_preprocessor=dict(type="DetDataPreprocessor", **data_preprocessor),
        )
    )


def one_sample(box_type):
    """An image of 60x100 pixels, of which the middle is an object."""
    masks = np.zeros((1, 60, 100), dtype=np.uint8)
    masks[:, 20:40, 10:30] = 1
    boxes = box_type(torch.tensor([[10.0, 20.0, 30.0, 40.0]]))
    return DetDataSample(
        metainfo=dict(
            img_shape=(60, 100),
            ori_shape=(120, 100),
            scale_factor=(1.0, 0.5),
            border=np.array([2.0, 58.0, 4.0, 96.0]),
        ),
        gt_instances=InstanceData(
            bboxes=boxes,
            labels=torch.tensor([2]),
            masks=BitmapMasks(masks, 60, 100),
        ),
        ignored_instances=InstanceData(bboxes=boxes.clone()),
        proposals=InstanceData(bboxes=boxes.clone(), scores=torch.tensor([0.5])),
        gt_sem_seg=PixelData(sem_seg=torch.from_numpy(masks.copy())),
    )


@pytest.mark.parametrize("box_type", [torch.clone, HorizontalBoxes])
@pytest.mark.parametrize("padded", [False, True])
def test_geometry_of_a_batch(box_type, padded):
    """In numbers: height by 0.5, width by 1.5, with annotations padded and not."""
    model = recorder(
        dict(scale_factor=(0.5, 1.5)),
        pad_size_divisor=48,
        pad_mask=padded,
        pad_seg=padded,
        seg_pad_value=254,
        boxtype2tensor=False,
    )
    image = torch.full((3, 60, 100), 7, dtype=torch.uint8)
    data = dict(inputs=[image], data_samples=[one_sample(box_type)])
    inputs, (sample,) = preprocess(model, data, training=True)
    assert inputs.shape == (1, 3, 96, 144)  # 60x100 to a multiple of 48
    before = deepcopy(sample)
    model(inputs, [sample], mode="loss")
    assert_same(sample, before)
    images, (seen,) = model.seen
    assert images.shape == (1, 3, 48, 240)  # 48x216 to a multiple of 48
    assert (images[..., 216:] == 0).all()
    meta = seen.metainfo
    assert meta["img_shape"] == (30, 150)
    assert meta["pad_shape"] == meta["batch_input_shape"] == (48, 240)
    np.testing.assert_array_equal(meta["border"], [1.0, 29.0, 6.0, 144.0])
    assert meta["ori_shape"] == (120, 100)
    for instances in (seen.gt_instances, seen.ignored_instances, seen.proposals):
        expected = box_type(torch.tensor([[15.0, 10.0, 45.0, 20.0]]))
        assert_same(instances.bboxes, expected)
    assert seen.gt_instances.labels.tolist() == [2]
    assert seen.proposals.scores.tolist() == [0.5]
    masks, labels = seen.gt_instances.masks, seen.gt_sem_seg.sem_seg
    shape = (48, 240) if padded else (30, 150)
    expected = torch.zeros(1, *shape, dtype=torch.uint8)
    expected[:, 10:20, 15:45] = 1
    assert (masks.height, masks.width) == shape
    assert_same(masks.masks, expected.numpy())
    if padded:  # the data preprocessor's 60x100 to 96x144, then the last 24 columns
        expected[:, 30:] = expected[:, :, 150:] = 254
    assert_same(labels, expected)


@pytest.mark.parametrize("rescale", [True, False])
def test_meta_data_of_predictions(rescale):
    model = recorder(dict(scale_factor=(0.5, 1.5)), pad_size_divisor=48)
    data = dict(
        inputs=[torch.zeros(3, 60, 100)], data_samples=[one_sample(HorizontalBoxes)]
    )
    inputs, samples = preprocess(model, data, training=False)
    (result,) = model.predict(inputs, samples, rescale=rescale)
    meta = model.seen[1][0].metainfo
    # (width, height), from the original image or from the pipeline's.
    assert meta["scale_factor"] == ((1.5, 0.25) if rescale else (1.5, 0.5))
    assert meta["ori_shape"] == ((120, 100) if rescale else (60, 100))
    assert result.scale_factor == (1.0, 0.5)
    assert result.ori_shape == (120, 100)
    # Ground truth, which is in the original image here, stays there.
    seen = model.seen[1][0].gt_instances
    assert_same(seen, samples[0].gt_instances)


def test_padding():
    """By the divisor of the argument, with the value of the data preprocessor."""
    model = recorder(
        dict(scale_factor=0.5), size_divisor=10, pad_value=3, pad_size_divisor=16
    )
    model(torch.zeros(1, 3, 64, 48))
    images, samples = model.seen
    assert samples is None
    assert images.shape == (1, 3, 40, 30)
    assert (images[..., :32, :24] == 0).all()
    assert (images[..., 32:, :] == 3).all()
    assert (images[..., 24:] == 3).all()


@pytest.mark.parametrize("name", ["FasterRCNN", "MaskRCNN", "RTMDet", "DINO"])
def test_images_without_objects(name):
    model = build(name, RESIZERS["0.5"]).train()
    inputs, samples = preprocess(model, make_batch(name), training=True)
    for sample in samples:
        sample.gt_instances = sample.gt_instances[:0]
        sample.ignored_instances = sample.ignored_instances[:0]
    images, resized, _ = resize_batch(
        inputs,
        samples,
        new_size(inputs.shape[2:], 0.5),
        model.data_preprocessor.pad_size_divisor,
        ground_truth=True,
    )
    seed()
    losses = model(inputs, samples, mode="loss")
    total, _ = model.parse_losses(losses)
    assert torch.isfinite(total)
    seed()
    assert_same(losses, get_plain(name).train()(images, resized, mode="loss"))


def test_checkpoints_of_the_plain_detector(tmp_path, log):
    """Load into it, and the other way round; a message names what is fresh."""
    plain, model = get_plain("FasterRCNN"), build("FasterRCNN", resizer=LEARNED)
    assert list(model.state_dict())[: len(plain.state_dict())] == list(
        plain.state_dict()
    )
    torch.save({"state_dict": plain.state_dict()}, tmp_path / "plain.pth")
    torch.save({"state_dict": model.state_dict()}, tmp_path / "resizer.pth")
    fresh = build("FasterRCNN", resizer=LEARNED)
    before = deepcopy(fresh.resizer.state_dict())
    for name, parameter in fresh.named_parameters():
        parameter.data.add_(0 if name.startswith("resizer.") else 1)
    log.clear()
    load_checkpoint(fresh, str(tmp_path / "plain.pth"))
    message = next(message for message in log if "no weights for" in message)
    assert "for 17 of the resizer's 17 parameter tensors (12,035" in message
    for name, value in plain.state_dict().items():
        assert_same(fresh.state_dict()[name], value)
    assert_same(dict(fresh.resizer.state_dict()), dict(before))

    other = MODELS.build(deepcopy(get_config("FasterRCNN")))
    missing, unexpected = other.load_state_dict(model.state_dict(), strict=False)
    assert not missing
    assert len(unexpected) == len(model.resizer.state_dict())
    assert all(name.startswith("resizer.") for name in unexpected)
    assert_same(dict(other.state_dict()), dict(plain.state_dict()))

    log.clear()
    load_checkpoint(fresh, str(tmp_path / "resizer.pth"))
    assert not any("no weights for" in message for message in log)


CONFIG = """
_base_ = ["mmdet::retinanet/retinanet_r50_fpn_1x_coco.py"]
custom_imports = dict(imports=["mmresizer"])
model = dict(
    type="mmresizer.ResizerDetector",
    detector="RetinaNet",
    resizer=dict(type="mmresizer.LearnedResizer", scale_factor=0.5),
    backbone=dict(depth=18, base_channels=8, init_cfg=None),
    neck=dict(in_channels=[8, 16, 32, 64], out_channels=16),
    bbox_head=dict(num_classes=3, in_channels=16, feat_channels=16),
    test_cfg=dict(score_thr=0.0, max_per_img=5),
)
test_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type="LoadImageFromFile", backend_args=None),
            dict(type="Resize", scale=(128, 96), keep_ratio=True),
            dict(
                type="PackDetInputs",
                meta_keys=("img_id", "img_path", "ori_shape", "img_shape",
                           "scale_factor"),
            ),
        ]
    )
)
"""


@pytest.fixture
def config_file(tmp_path):
    """A config of a user, and weights for it."""
    (tmp_path / "config.py").write_text(CONFIG)
    seed()
    model = init_detector(str(tmp_path / "config.py"), device="cpu")
    classes = ("disc", "ring", "cross")
    meta = dict(dataset_meta=dict(classes=classes, palette=[(0, 0, 0)] * 3))
    checkpoint = dict(state_dict=model.state_dict(), meta=meta)
    torch.save(checkpoint, tmp_path / "weights.pth")
    return str(tmp_path / "config.py"), str(tmp_path / "weights.pth")


def test_inference_from_a_config_file(config_file):
    config, weights = config_file
    image = np.random.default_rng(0).integers(0, 256, (150, 100, 3), dtype=np.uint8)
    model = init_detector(config, weights, device="cpu")
    assert isinstance(model, RetinaNet)
    assert isinstance(model, ResizerDetector)
    result = inference_detector(model, image)
    boxes = result.pred_instances.bboxes
    assert len(boxes) == 5
    # In the original image, of 100x150 and not of the detector's 43x64 pixels.
    assert boxes.min() >= 0
    assert (boxes[:, 2] <= 100.01).all()
    assert (boxes[:, 3] <= 150.01).all()
    assert boxes[:, 3].max() > 75
    inferencer = DetInferencer(config, weights, device="cpu", show_progress=False)
    other = inferencer(image, return_datasamples=True, no_save_pred=True)
    assert_same(other["predictions"][0].pred_instances, result.pred_instances)


def test_inferencers_find_our_loader(config_file, tmp_path):
    """The boxes of a file and of its pixels are those of the plain pipeline."""
    config, weights = config_file
    image = np.random.default_rng(0).integers(0, 256, (150, 100, 3), dtype=np.uint8)
    file = str(tmp_path / "image.png")
    cv2.imwrite(file, image)
    found = []
    for loader in ("LoadImageFromFile", "mmresizer.LoadImageFromFile"):
        (tmp_path / "ours.py").write_text(
            CONFIG.replace('"LoadImageFromFile", backend_args=None', f'"{loader}"')
        )
        config = str(tmp_path / "ours.py")
        inferencer = DetInferencer(config, weights, device="cpu", show_progress=False)
        model = init_detector(config, weights, device="cpu")
        for source in (file, image):
            results = inferencer(source, return_datasamples=True, no_save_pred=True)
            found += results["predictions"], [inference_detector(model, source)]
    for (sample,) in found:
        assert_same(sample.pred_instances, found[0][0].pred_instances)


def test_hooks_find_the_head():
    model = build("YOLOX", RESIZERS["2"])
    skipped = []
    runner = SimpleNamespace(
        epoch=9,
        max_epochs=10,
        model=model,
        logger=SimpleNamespace(info=lambda _: None),
        train_dataloader=SimpleNamespace(
            dataset=SimpleNamespace(update_skip_type_keys=skipped.append)
        ),
    )
    inputs, samples = preprocess(model, make_batch("YOLOX"), training=True)
    assert "loss_l1" not in model(inputs, samples, mode="loss")
    YOLOXModeSwitchHook(num_last_epochs=1).before_train_epoch(runner)
    assert skipped
    assert "loss_l1" in model(inputs, samples, mode="loss")


def test_layer_wise_lr_decay():
    """The resizer takes the full rate; the backbone's layers decay as before."""
    config = deepcopy(get_config("RetinaNet"))
    config["backbone"] = dict(
        type="mmpretrain.ConvNeXt",
        arch=dict(depths=[1, 1, 2, 1], channels=[8, 16, 32, 64]),
        out_indices=(0, 1, 2, 3),
        gap_before_final_norm=False,
    )
    optim_wrapper = dict(
        optimizer=dict(type="AdamW", lr=1.0, weight_decay=0.05),
        constructor="LearningRateDecayOptimizerConstructor",
        paramwise_cfg=dict(decay_rate=0.5, decay_type="layer_wise", num_layers=6),
    )
    with_resizer = {**config, "type": "mmresizer.ResizerDetector"}
    with_resizer.update(detector="RetinaNet", resizer=LEARNED)
    rates = []
    for cfg in (config, with_resizer):
        model = MODELS.build(deepcopy(cfg))
        wrapper = build_optim_wrapper(model, deepcopy(optim_wrapper))
        names = {parameter: name for name, parameter in model.named_parameters()}
        rates.append(
            {
                names[parameter]: (group["lr"], group["weight_decay"])
                for group in wrapper.optimizer.param_groups
                for parameter in group["params"]
            }
        )
    plain, resized = rates
    added = resized.keys() - plain.keys()
    assert len(added) == 17
    assert {resized[name][0] for name in added} == {1.0}
    assert {name: resized[name] for name in plain} == plain
    assert plain["backbone.downsample_layers.0.0.weight"] == (0.5**7, 0.05)


def predict(model, data):
    with torch.no_grad():
        return [sample.pred_instances for sample in model.eval().test_step(data)]


@pytest.mark.parametrize(
    "copy",
    [
        deepcopy,
        lambda model: pickle.loads(pickle.dumps(model)),
        lambda model: ExponentialMovingAverage(model).module,
    ],
    ids=["deepcopy", "pickle", "ema"],
)
def test_copies_are_whole_and_apart(copy):
    model = build("FasterRCNN", resizer=LEARNED).eval()
    before = predict(model, make_batch())
    other = copy(model)
    assert type(other) is type(model)
    assert other.size_divisor == 32
    for parameter in model.parameters():
        parameter.data.zero_()
    assert_same(predict(other, make_batch()), before)
    with pytest.raises(AssertionError):
        assert_same(predict(model, make_batch()), before)


def test_ema_follows():
    model = build("FasterRCNN", resizer=LEARNED)
    ema = ExponentialMovingAverage(model, momentum=0.5)
    start = model.resizer.out.weight.detach().clone()
    ema.update_parameters(model)  # the first is a copy
    model.resizer.out.weight.data.add_(1)
    ema.update_parameters(model)
    torch.testing.assert_close(ema.module.resizer.out.weight.data, start + 0.5)


def test_training_step():
    """Gradients reach the resizer; data of the loader stay as they are."""
    model = build("FasterRCNN", resizer=LEARNED).train()
    data = make_batch("FasterRCNN")
    raw = deepcopy(data)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    before = deepcopy(dict(model.resizer.named_parameters()))
    seed()
    logs = model.train_step(data, OptimWrapper(optimizer))
    assert torch.isfinite(logs["loss"])
    for name, parameter in model.resizer.named_parameters():
        assert not torch.equal(parameter, before[name]), name
    assert_same(data, raw)


def test_init_weights():
    """As in the plain detector, and the resizer by its own ``init_cfg``."""
    config = deepcopy(get_config("RetinaNet"))
    models = []
    for changes in (
        {},
        dict(type="mmresizer.ResizerDetector", detector="RetinaNet", resizer=LEARNED),
    ):
        seed()
        models.append(MODELS.build({**deepcopy(config), **changes}))
        for parameter in models[-1].parameters():
            parameter.data.fill_(0.5)
        seed()
        models[-1].init_weights()
    plain, model = models
    for name, value in plain.state_dict().items():
        assert_same(model.state_dict()[name], value, name)
    assert model.resizer.out.bias.abs().max() == 0
    assert model.resizer.out.weight.std() > 0


def test_inside_a_semi_supervised_detector():
    """Its pseudo labels are in the images as the pipeline delivers them."""
    model = build("FasterRCNN", RESIZERS["0.5"])
    config = deepcopy(get_config("FasterRCNN"))
    config.update(
        type="mmresizer.ResizerDetector",
        detector="FasterRCNN",
        resizer=dict(type="mmresizer.InterpolationResizer", **RESIZERS["0.5"]),
    )
    weights = dict(freeze_teacher=True, sup_weight=1.0, unsup_weight=1.0)
    semi = MODELS.build(
        dict(
            type="mmdet.SemiBaseDetector",
            detector=config,
            data_preprocessor=config["data_preprocessor"],
            semi_train_cfg=ConfigDict(weights, cls_pseudo_thr=0.0),
            semi_test_cfg=ConfigDict(predict_on="teacher"),
        )
    )
    for part in (semi.teacher, semi.student):
        part.load_state_dict(model.state_dict())
    inputs, samples = preprocess(model, make_batch("FasterRCNN"), training=True)
    for sample in samples:
        sample.set_metainfo(dict(homography_matrix=np.eye(3, dtype=np.float32)))
    seed()
    losses = model.train()(inputs, samples, mode="loss")
    seed()
    assert_same(
        semi.train().loss_by_gt_instances(inputs, samples),
        {f"sup_{key}": value for key, value in losses.items()},
    )
    pseudo, _ = semi.get_pseudo_instances(inputs, samples)
    with torch.no_grad():
        expected = model.eval().predict(inputs, samples, rescale=False)
    for sample, other in zip(pseudo, expected, strict=True):
        boxes = other.pred_instances.bboxes
        assert len(boxes) > 0
        torch.testing.assert_close(sample.gt_instances.bboxes, boxes)


@pytest.mark.parametrize("detector", ["mmdet.FasterRCNN", FasterRCNN])
def test_detectors_by_class_and_by_scope(detector):
    config = deepcopy(get_config("FasterRCNN"))
    config.pop("type")
    resizer = MODELS.build(deepcopy(LEARNED))
    model = ResizerDetector(detector, resizer, **config)
    assert type(model) is type(build("FasterRCNN", resizer=LEARNED))
    assert isinstance(model, FasterRCNN)
    assert model.resizer is resizer


@pytest.mark.parametrize(
    "detector", ["FasterRCNNN", "ResNet", "RPNHead", torch.nn.Linear, None, 3]
)
def test_refuses_what_is_no_detector(detector):
    expected = r"detector must name a detector class of MMDetection.*, but got "
    with pytest.raises(InputError, match=expected) as caught:
        build("FasterRCNN", resizer=LEARNED, detector=detector)
    assert str(caught.value).endswith(f"but got {detector!r}")


def test_refuses_what_holds_detectors():
    expected = "SoftTeacher holds detectors and is none itself"
    with pytest.raises(InputError, match=expected):
        build("FasterRCNN", resizer=LEARNED, detector="SoftTeacher")


@pytest.mark.parametrize("divisor", [0, -32, 0.5, "32"])
def test_refuses_a_size_divisor(divisor):
    expected = f"size_divisor must be an int of 1 or more, got {divisor!r}"
    with pytest.raises(InputError, match=expected):
        build("FasterRCNN", resizer=LEARNED, size_divisor=divisor)


@pytest.mark.parametrize("mode", ["loss", "predict", "tensor"])
@pytest.mark.parametrize(
    ("inputs", "got"),
    [
        ([], "<class 'list'>"),
        (torch.zeros(0, 3, 64, 64), r"\(0, 3, 64, 64\)"),
        (torch.zeros(3, 64, 64), r"\(3, 64, 64\)"),
    ],
    ids=["list", "empty", "image"],
)
def test_refuses_a_batch(inputs, got, mode):
    model = build("RetinaNet", RESIZERS["0.5"])
    expected = rf"needs at least one image, .* \(N, C, H, W\), but got {got}$"
    with pytest.raises(InputError, match=expected):
        model(inputs, [], mode=mode)


def test_refuses_images_below_the_divisor():
    model = build("RetinaNet", dict(scale_factor=0.25))
    inputs, samples = preprocess(model, make_batch("RetinaNet"), training=False)
    expected = (
        r"the resizer makes 24x32 pixels of a batch of 96x128 \(height x width\), but "
        r"the detector needs at least 32x32 \(size_divisor=32\)"
    )
    with pytest.raises(InputError, match=expected):
        model(inputs[:, :, :96], samples, mode="predict")
    assert model.predict(inputs, samples)  # 32x32
