"""A detector's forward pass without values, to count what it costs."""

from functools import partial
from typing import Any

from torch import Tensor, nn

from mmresizer.models import ResizerDetector


def prepare_to_count(detector: ResizerDetector) -> None:
    """Changes a detector so that it takes images alone, on the meta device too.

    In detectors of two stages the first stage then proposes as many boxes as it may,
    whatever the weights. The extraction of features below boxes is left out: it has
    none of the products that are counted.
    """
    take_images_alone(detector)
    if not hasattr(detector, "rpn_head") or not hasattr(detector, "roi_head"):
        return
    from mmdet.models.roi_heads.roi_extractors import BaseRoIExtractor

    count = detector.test_cfg["rpn"]["max_per_img"]
    detector.rpn_head.predict_by_feat = partial(_propose, count)
    for name, module in list(detector.named_modules()):
        if isinstance(module, BaseRoIExtractor):
            detector.set_submodule(name, _BlankFeatures(module))


def take_images_alone(detector: ResizerDetector) -> None:
    """Changes a detector so that its raw outputs need images alone.

    Detectors of two stages ask for data samples.
    """
    detector.register_forward_pre_hook(_add_samples, with_kwargs=True)


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
