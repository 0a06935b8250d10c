"""Forward passes of detectors and segmentors on images alone, to measure costs."""

from functools import partial
from types import MethodType
from typing import Any

from torch import Tensor, nn

from mmresizer.models import ResizerDetector, ResizerSegmentor


def prepare_to_count(model: Any) -> None:
    """Changes a model so that it takes images alone, on the meta device too.

    In detectors of two stages the first stage then proposes as many boxes as it may,
    whatever the weights. The extraction of features below boxes is left out: it has
    none of the products that are counted.
    """
    take_images_alone(model)
    if not hasattr(model, "rpn_head") or not hasattr(model, "roi_head"):
        return
    from mmdet.models.roi_heads.roi_extractors import BaseRoIExtractor

    count = model.test_cfg["rpn"]["max_per_img"]
    model.rpn_head.predict_by_feat = partial(_propose, count)
    for name, module in list(model.named_modules()):
        if isinstance(module, BaseRoIExtractor):
            model.set_submodule(name, _BlankFeatures(module))


def take_images_alone(model: Any) -> None:
    """Changes a detector or segmentor so that its outputs need images alone.

    Detectors of two stages ask for data samples. Segmentors then give the logits of
    each pixel, as for predictions: some heads have no raw outputs. Other models stay as
    they are.
    """
    if isinstance(model, ResizerDetector):
        model.register_forward_pre_hook(_add_samples, with_kwargs=True)
    elif isinstance(model, ResizerSegmentor):
        # A method, so that a copy of the model has its own.
        model._forward = MethodType(_infer, model)  # type: ignore[method-assign]


def _infer(model: Any, images: Tensor, data_samples: None = None) -> Tensor:
    """Returns a segmentor's logits for images of shape (N, C, H, W)."""
    shape = tuple(images.shape[-2:])
    return model.inference(
        images, [dict(ori_shape=shape, img_shape=shape)] * len(images)
    )


def _add_samples(module: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    """Adds data samples that say that the images fill the batch."""
    from mmdet.structures import DetDataSample

    shape = tuple(args[0].shape[-2:])
    keys = ("ori_shape", "img_shape", "pad_shape", "batch_input_shape")
    meta = dict.fromkeys(keys, shape) | dict(scale_factor=(1.0, 1.0))
    samples = [DetDataSample(metainfo=meta) for _ in args[0]]
    return args, {"data_samples": samples, **kwargs}


def _propose(count: int, scores: list[Tensor], *args: Any, **kwargs: Any) -> list:
    """Returns boxes for each of the images."""
    from mmengine.structures import InstanceData

    boxes = scores[0].new_zeros(count, 4)
    return [InstanceData(bboxes=boxes) for _ in scores[0]]


class _BlankFeatures(nn.Module):
    """Replaces an extractor of features below boxes, which needs values.

    Args:
        extractor (BaseRoIExtractor): The extractor.
    """

    def __init__(self, extractor: Any):
        super().__init__()
        self.num_inputs = extractor.num_inputs
        size = extractor.roi_layers[0].output_size
        self.shape = (extractor.out_channels, *size)

    def forward(self, feats: list[Tensor], rois: Tensor, *args: Any) -> Tensor:
        """Returns features of shape (number of boxes, C, H, W)."""
        return feats[0].new_zeros(len(rois), *self.shape)
