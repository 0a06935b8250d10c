"""Exported one-stage detectors: their boxes are those of MMDetection's `predict`."""

import pytest
import torch
from mmengine.registry import DefaultScope
from tiny_detectors import make_batch, tiny_config

from mmresizer.deploy import FORMATS, export_model, read_card
from mmresizer.deploy import export as export_module
from mmresizer.registry import MODELS
from mmresizer.utils import InputError

pytestmark = pytest.mark.detection


def build(name):
    with DefaultScope.overwrite_default_scope("mmdet"):
        cfg = tiny_config(name)
        detector = cfg.pop("type")
        torch.manual_seed(0)
        model = MODELS.build(
            dict(
                type="mmresizer.ResizerDetector",
                detector=detector,
                resizer=dict(type="mmresizer.LearnedResizer", scale_factor=0.5),
                size_divisor=32,
                **cfg,
            )
        )
        model.init_weights()
    if name == "RTMDet":  # random boxes would have negative sides
        for layer in model.bbox_head.rtm_reg:
            torch.nn.init.ones_(layer.bias)
        # Its first features and scores are all the same: any boxes could be the best.
        for layer in model.bbox_head.rtm_cls:
            torch.nn.init.normal_(layer.weight, std=1000)
    return model.eval()


def to_maps(rows, card, side):
    """Splits the one tensor into the lists of maps that a head gives, by the card."""
    divisor = card["output"]["size_divisor"]
    padded = [-(-n // divisor) * divisor for n in side]
    sizes = [
        tuple(-(-n // stride) for n in padded) for stride in card["output"]["strides"]
    ]
    levels = rows.split([h * w for h, w in sizes], dim=1)
    maps = [
        level.mT.unflatten(2, size).split([*card["output"]["channels"].values()], dim=1)
        for level, size in zip(levels, sizes, strict=True)
    ]
    return [list(output) for output in zip(*maps, strict=True)]


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("RetinaNet", "onnx"),
        ("RetinaNet", "torch-export"),
        ("RetinaNet", "torchscript"),
        ("RetinaNet", "openvino"),
        ("FCOS", "onnx"),
        ("YOLOX", "onnx"),
        ("RTMDet", "onnx"),
    ],
)
def test_boxes(name, format, tmp_path):
    model = build(name)
    file = export_model(model, tmp_path, "whole", format)
    card = read_card(file)
    # Of a size that neither the export nor its checks have.
    inputs, samples = make_batch(sizes=((420, 371), (420, 371))).values()
    data = model.data_preprocessor(dict(inputs=inputs, data_samples=samples))
    images, samples = data["inputs"], data["data_samples"]
    with torch.no_grad(), DefaultScope.overwrite_default_scope("mmdet"):
        expected = model.predict(images, samples, rescale=False)
        rows = FORMATS[format].load(file)(images)
        side = [n // 2 for n in images.shape[2:]]
        metas = [dict(sample.metainfo) for sample in samples]
        for meta in metas:
            meta["img_shape"] = tuple(round(n / 2) for n in meta["img_shape"][:2])
            meta["batch_input_shape"] = tuple(n // 2 for n in images.shape[2:])
        found = model.bbox_head.predict_by_feat(
            *to_maps(rows, card, side), batch_img_metas=metas, rescale=False
        )
    for result, sample in zip(found, expected, strict=True):
        assert len(result.scores) > 0
        torch.testing.assert_close(
            result.scores, sample.pred_instances.scores, atol=1e-4, rtol=1e-4
        )
        # Each has its like: those of nearly equal scores come in any order.
        distances = torch.cdist(
            2 * result.bboxes, sample.pred_instances.bboxes, p=torch.inf
        )
        for axis in (0, 1):
            assert distances.min(axis).values.max() < 0.05


def test_parts(tmp_path):
    """The resizer's file in front of the backbone's is the whole."""
    model = build("RetinaNet")
    resizer, backbone = (
        FORMATS["onnx"].load(export_model(model, tmp_path, part))
        for part in ("resizer", "backbone")
    )
    images = torch.randn(2, 3, 384, 448, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        maps = model(images)
    rows = backbone(resizer(images))
    first = torch.cat([output[0] for output in maps], dim=1).flatten(2).mT
    error = (rows[:, : first.shape[1]] - first).abs().max()
    assert error < 1e-4 * first.abs().max()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("FasterRCNN", "of a ResizerFasterRCNN only the part 'resizer' can be expor"),
        ("DETR", "of a ResizerDETR only the part 'resizer' can be exported: it is no"),
        ("RTMDetIns", "only the part 'resizer' can be exported: its RTMDetIns.* does"),
        ("CenterNet", "its CenterNetHead does not give maps of known strides"),
    ],
)
def test_refused(name, sentence, tmp_path):
    with pytest.raises(InputError, match=sentence):
        export_model(build(name), tmp_path / "out", "whole")
    assert not (tmp_path / "out").exists()
    export_model(build(name), tmp_path, "resizer", "torchscript")


def test_what_the_neck_does_not_take(tmp_path):
    model = build("YOLOX")
    model.size_divisor = 1
    model.resizer.scale_factor = (0.3, 0.3)
    with pytest.raises(InputError, match=r"detector itself .*need size_divisor=32"):
        export_model(model, tmp_path / "out", "whole")


def test_each_kind_of_map_is_checked(tmp_path, monkeypatch):
    """Boxes of zeros, which are small beside the logits."""
    right = FORMATS["torchscript"]
    model = build("RetinaNet")

    def load(path):
        program = right.load(path)

        def run(images):
            rows = program(images).clone()
            rows[..., -4:] = 0
            return rows

        return run

    wrong = right._replace(load=load)
    monkeypatch.setitem(export_module.FORMATS, "torchscript", wrong)
    torch.nn.init.constant_(model.bbox_head.retina_cls.bias, 1e6)
    with pytest.raises(InputError, match="differs from the model by"):
        export_model(model, tmp_path / "out", "whole", "torchscript")
