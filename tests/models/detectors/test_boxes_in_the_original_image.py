"""Boxes and masks come back in the original image, to the pixel.

The detector here finds flat rectangles in the very pixels that it is given, that is,
in the resized images, and maps them back by ``scale_factor`` as MMDetection's heads do.
It knows no ground truth. On rectangles whose corners lie on a grid of 4 pixels it is
perfect at the scales below, so that anything less than a mAP of 1 is the resizer's.
"""

import json

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from mmdet.datasets import CocoDataset
from mmdet.evaluation import CocoMetric
from mmdet.models.detectors import BaseDetector
from mmdet.registry import MODELS as DETECTION_MODELS
from mmengine.config import ConfigDict
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData

from mmresizer.registry import MODELS

pytestmark = pytest.mark.detection

CLASSES = ("red", "green", "blue")
# x, y, width, height of rectangles by the channel of their colour, and sizes (h, w).
IMAGES = (
    ((64, 96), {0: [(4, 8, 20, 12), (52, 40, 40, 20)], 1: [(32, 4, 24, 28)]}),
    ((80, 56), {2: [(0, 0, 12, 16), (16, 24, 36, 52)], 1: [(40, 4, 16, 8)]}),
    ((80, 96), {0: [(8, 8, 80, 64)], 2: [(24, 20, 8, 40)]}),
)
RESIZERS = dict(
    interpolation=dict(type="mmresizer.InterpolationResizer"),
    antialias=dict(type="mmresizer.InterpolationResizer", antialias=True),
    # Of random weights, with a bound on what they change.
    learned=dict(type="mmresizer.LearnedResizer", residual_bound=20.0),
    muller=dict(
        type="mmresizer.MULLERResizer",
        weights=(0.3, 0.05, -0.2, -0.02),
        mean=(0.0,) * 3,
        std=(1.0,) * 3,
    ),
)


@DETECTION_MODELS.register_module(force=True)
class RectangleDetector(BaseDetector):
    """Finds rectangles of one channel each, by a threshold on pixels of 0 to 255."""

    def predict(self, batch_inputs, batch_data_samples, rescale=True):
        for image, sample in zip(batch_inputs, batch_data_samples, strict=True):
            height, width = sample.img_shape
            found = [
                (label, box)
                for label, channel in enumerate(image[:, :height, :width] > 128)
                for box in self.find(channel.numpy())
            ]
            labels = torch.tensor([label for label, _ in found])
            boxes = torch.tensor([box for _, box in found], dtype=torch.float32)
            masks = torch.zeros(len(found), 1, height, width)
            for mask, (x1, y1, x2, y2) in zip(masks, boxes.long(), strict=True):
                mask[:, y1:y2, x1:x2] = 1
            if rescale:
                boxes = boxes / boxes.new_tensor(sample.scale_factor).repeat(2)
                masks = F.interpolate(masks, sample.ori_shape)
            sample.pred_instances = InstanceData(
                bboxes=boxes,
                labels=labels,
                scores=torch.ones(len(found)),
            )
            if self.with_masks:
                sample.pred_instances.masks = masks[:, 0] > 0.5
        return batch_data_samples

    with_masks = True

    @staticmethod
    def find(channel):
        count, _, stats, _ = cv2.connectedComponentsWithStats(channel.astype(np.uint8))
        for x, y, width, height, _ in stats[1:count]:
            yield x, y, x + width, y + height

    def loss(self, batch_inputs, batch_data_samples):
        raise NotImplementedError

    def _forward(self, batch_inputs, batch_data_samples=None):
        raise NotImplementedError

    def extract_feat(self, batch_inputs):
        raise NotImplementedError


@pytest.fixture(autouse=True)
def default_scope():
    with DefaultScope.overwrite_default_scope("mmdet"):
        yield


@pytest.fixture
def annotations(tmp_path):
    """Draws the images; returns the path of a file in the format of COCO."""
    images, objects = [], []
    for i, ((height, width), colours) in enumerate(IMAGES):
        image = np.zeros((height, width, 3), dtype=np.uint8)
        for channel, rectangles in colours.items():
            for x, y, w, h in rectangles:
                image[y : y + h, x : x + w, channel] = 255
                objects.append(
                    dict(
                        id=len(objects) + 1,
                        image_id=i,
                        category_id=channel,
                        bbox=[x, y, w, h],
                        area=w * h,
                        iscrowd=0,
                        segmentation=[[x, y, x + w, y, x + w, y + h, x, y + h]],
                    )
                )
        cv2.imwrite(str(tmp_path / f"{i}.png"), image[..., ::-1])
        images.append(dict(id=i, file_name=f"{i}.png", height=height, width=width))
    categories = [dict(id=i, name=name) for i, name in enumerate(CLASSES)]
    content = dict(images=images, annotations=objects, categories=categories)
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    return tmp_path / "annotations.json"


def build(resizer):
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type="mmresizer.ResizerDetector",
            detector="RectangleDetector",
            resizer=dict(resizer),
            data_preprocessor=dict(
                type="DetDataPreprocessor", bgr_to_rgb=True, pad_size_divisor=8
            ),
        )
    )
    model.init_weights()
    return model.eval()


def evaluate(model, annotations, resize, metric, flips=None):
    """Returns the results of CocoMetric, and the predictions."""
    meta_keys = ("img_id", "ori_shape", "img_shape", "scale_factor")
    pack = dict(type="PackDetInputs", meta_keys=(*meta_keys, "flip", "flip_direction"))
    steps = [dict(type="Resize", scale_factor=factor) for factor in resize]
    if flips:
        flips = [dict(type="RandomFlip", prob=prob) for prob in flips]
        augmentations = [steps, flips, [pack]]
        pipeline = [dict(type="TestTimeAug", transforms=augmentations)]
    else:
        pipeline = [*steps, pack]
    dataset = CocoDataset(
        ann_file=str(annotations),
        data_prefix=dict(img=str(annotations.parent)),
        metainfo=dict(classes=CLASSES),
        pipeline=[dict(type="LoadImageFromFile"), *pipeline],
        test_mode=True,
    )
    coco = CocoMetric(ann_file=str(annotations), metric=metric)
    coco.dataset_meta = dataset.metainfo
    predictions = []
    # Two of different shapes in a batch, then one.
    for batch in ([0, 1], [2]):
        data = pseudo_collate([dataset[i] for i in batch])
        with torch.no_grad():
            results = model.test_step(data)
        predictions += results
        coco.process({}, [result.to_dict() for result in results])
    return coco.evaluate(len(dataset)), predictions


@pytest.mark.parametrize(
    "size",
    [
        dict(scale_factor=0.5),
        dict(scale_factor=2.0),
        dict(scale_factor=0.75),
        dict(scale_factor=(1.5, 0.5)),
        dict(output_size=(120, 192)),
    ],
    ids=["0.5", "2", "0.75", "both", "fixed"],
)
@pytest.mark.parametrize("resizer", RESIZERS.values(), ids=RESIZERS)
def test_perfect_detector_stays_perfect(annotations, resizer, size):
    model = build({**resizer, **size})
    metrics, predictions = evaluate(model, annotations, [1.0], ["bbox", "segm"])
    assert metrics["coco/bbox_mAP"] == 1.0
    assert metrics["coco/segm_mAP"] == 1.0
    check_boxes(predictions)


def check_boxes(predictions):
    for (shape, colours), prediction in zip(IMAGES, predictions, strict=True):
        instances = prediction.pred_instances
        found = sorted(
            (label, *box)
            for label, box in zip(
                instances.labels.tolist(), instances.bboxes.tolist(), strict=True
            )
        )
        expected = sorted(
            (channel, x, y, x + w, y + h)
            for channel, rectangles in colours.items()
            for x, y, w, h in rectangles
        )
        np.testing.assert_allclose(found, expected, atol=1e-4)
        assert "masks" not in instances or instances.masks.shape[1:] == shape


@pytest.mark.parametrize("resizer", RESIZERS.values(), ids=RESIZERS)
def test_after_a_pipeline_that_resizes(annotations, resizer):
    """The two resizes are undone together."""
    model = build({**resizer, "scale_factor": 0.75})
    metrics, predictions = evaluate(model, annotations, [2.0], ["bbox", "segm"])
    assert metrics["coco/bbox_mAP"] == metrics["coco/segm_mAP"] == 1.0
    check_boxes(predictions)


@pytest.mark.parametrize("resizer", RESIZERS.values(), ids=RESIZERS)
def test_test_time_augmentation(annotations, resizer, monkeypatch):
    """Two scales, flipped and not, which DetTTAModel merges in the original image."""
    monkeypatch.setattr(RectangleDetector, "with_masks", False)  # it takes no masks
    model = build({**resizer, "scale_factor": 0.5})
    nms = dict(type="nms", iou_threshold=0.5)
    tta_cfg = ConfigDict(nms=nms, max_per_img=100)
    tta = MODELS.build(dict(type="DetTTAModel", module=model, tta_cfg=tta_cfg))
    views = []
    merge = tta.merge_preds
    monkeypatch.setattr(
        tta, "merge_preds", lambda samples: views.extend(samples) or merge(samples)
    )
    metrics, predictions = evaluate(
        tta, annotations, [1.0, 2.0], ["bbox"], flips=[1.0, 0.0]
    )
    assert metrics["coco/bbox_mAP"] == 1.0
    check_boxes(predictions)
    assert [len(view) for view in views] == [4, 4, 4]
    assert {(v.flip, v.scale_factor) for v in views[0]} == {
        (flip, (scale, scale)) for flip in (True, False) for scale in (1.0, 2.0)
    }
