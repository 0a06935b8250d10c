"""Any of MMDetection's detectors with a resizer in front of it."""

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from mmresizer.models.utils import ResizingModel
from mmresizer.registry import MODELS
from mmresizer.utils import InputError
from mmresizer.utils.errors import HOW_TO_INSTALL_MMDET, check_int

if TYPE_CHECKING:
    from mmdet.structures import DetDataSample
    from mmengine.structures import InstanceData


class _Frame(NamedTuple):
    """How the coordinates and the size of a batch change."""

    scale: tuple[float, float]  # of height and width, exactly as of the images
    input_shape: tuple[int, int]
    output_shape: tuple[int, int]  # padded
    divisor: int

    def shape(self, shape: Sequence[int]) -> tuple[int, int]:
        """Returns the (height, width) of a part of the images, in whole pixels."""
        height, width = (round(n * s) for n, s in zip(shape, self.scale, strict=True))
        return max(height, 1), max(width, 1)


@MODELS.register_module()
class ResizerDetector(ResizingModel):
    """A detector of MMDetection that resizes its images first.

    The resizer stands between the data preprocessor and the detector, which sees the
    resized batch. Predicted boxes and masks refer to the original image or, with
    ``rescale=False``, to the image as the pipeline delivers it. The data samples that
    are passed in are not changed.

    The model is also an instance of the detector's class. Its parameters have the same
    names as there. So checkpoints fit both ways, and hooks, parameter-wise options and
    layer-wise learning-rate decay find what they look for.

    Prefer a resizer with ``scale_factor``. One with ``output_size`` distorts each
    padded batch in another way.

    Args:
        detector (str | type): The detector's class, such as "FasterRCNN".
            Semi-supervised detectors and trackers hold detectors, which can be a
            ResizerDetector. But SoftTeacher and QDTrack call the parts of the detector
            one by one and skip the resizer.
        resizer (dict | nn.Module): The resizer, a :class:`BaseResizer`.
        size_divisor (int, optional): The resized batch is padded on the right and at
            the bottom to a multiple of this. The necks of YOLOX and RTMDet need 32.
            Defaults to the ``pad_size_divisor`` of the data preprocessor.
        **kwargs: The detector's own arguments.

    Raises:
        InputError: If MMDetection or mmcv's operators are not installed, or an argument
            is not accepted.

    Examples:
        In a config that inherits one of MMDetection::

            _base_ = ["mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py"]
            custom_imports = dict(imports=["mmresizer"])
            model = dict(
                type="mmresizer.ResizerDetector",
                detector="FasterRCNN",
                resizer=dict(type="mmresizer.LearnedResizer", scale_factor=0.5),
            )
    """

    def __new__(cls, detector: str | type | None = None, *args: Any, **kwargs: Any):
        """Makes an instance of the detector's class, and of this one."""
        return cls._new(_find_detector(detector))

    def __init__(
        self,
        detector: str | type,
        resizer: dict | nn.Module,
        size_divisor: int | None = None,
        **kwargs,
    ):
        super().__init__(resizer, **kwargs)
        if size_divisor is None:
            size_divisor = getattr(self.data_preprocessor, "pad_size_divisor", 1)
        check_int("size_divisor", size_divisor, 1)
        self.size_divisor = size_divisor

    def loss(self, batch_inputs: Tensor, batch_data_samples: list) -> dict:
        """Computes the detector's losses.

        Args:
            batch_inputs (Tensor): Images of shape (N, C, H, W), after the data
                preprocessor.
            batch_data_samples (list[DetDataSample]): Ground truth in these images.

        Returns:
            dict: The losses by name.
        """
        inputs, frame = self._resize(batch_inputs)
        samples = [
            _to_frame(sample, frame, self.data_preprocessor, ground_truth=True)
            for sample in batch_data_samples
        ]
        return super().loss(inputs, samples)  # type: ignore[misc]

    def predict(
        self,
        batch_inputs: Tensor,
        batch_data_samples: list,
        rescale: bool = True,
        **kwargs: Any,
    ) -> list:
        """Detects objects.

        Args:
            batch_inputs (Tensor): Images of shape (N, C, H, W), after the data
                preprocessor.
            batch_data_samples (list[DetDataSample]): Their meta data.
            rescale (bool): Whether boxes and masks refer to the original images, or to
                the images as the pipeline delivers them. Defaults to True.
            **kwargs: Passed on to the detector.

        Returns:
            list[DetDataSample]: Copies of the data samples, with predictions.
        """
        inputs, frame = self._resize(batch_inputs)
        samples = []
        for sample in batch_data_samples:
            resized = _to_frame(sample, frame, self.data_preprocessor)
            # The detector maps back by `scale_factor`, which is (width, height).
            width, height = 1.0, 1.0
            if rescale:
                width, height = sample.metainfo.get("scale_factor", (1.0, 1.0))
            scale_factor = (width * frame.scale[1], height * frame.scale[0])
            resized.set_metainfo(dict(scale_factor=scale_factor))
            if not rescale:
                resized.set_metainfo(dict(ori_shape=sample.img_shape))
            samples.append(resized)
        # Always with `rescale`: without it, results would refer to the resized images.
        results = super().predict(inputs, samples, rescale=True, **kwargs)  # type: ignore[misc]
        return [
            sample.new(**(dict(sample.items()) | _predictions(result)))
            for sample, result in zip(batch_data_samples, results, strict=True)
        ]

    def _forward(
        self,
        batch_inputs: Tensor,
        batch_data_samples: list | None = None,
        **kwargs: Any,
    ) -> tuple:
        """Returns the detector's raw outputs for images of shape (N, C, H, W)."""
        inputs, frame = self._resize(batch_inputs)
        samples = batch_data_samples and [
            _to_frame(sample, frame, self.data_preprocessor)
            for sample in batch_data_samples
        ]
        return super()._forward(inputs, samples, **kwargs)  # type: ignore[misc]

    def _resize(self, inputs: Tensor) -> tuple[Tensor, _Frame]:
        """Resizes images of shape (N, C, H, W), and pads them to the divisor."""
        if not isinstance(inputs, Tensor) or inputs.ndim != 4 or inputs.shape[0] == 0:
            got = tuple(inputs.shape) if isinstance(inputs, Tensor) else type(inputs)
            raise InputError(
                "a detector needs at least one image, as a tensor of shape "
                f"(N, C, H, W), but got {got}"
            )
        images = self.resizer(inputs)
        height, width = inputs.shape[-2:]
        new_height, new_width = images.shape[-2:]
        divisor = self.size_divisor
        if new_height < divisor or new_width < divisor:
            raise InputError(
                f"the resizer makes {new_height}x{new_width} pixels of a batch of "
                f"{height}x{width} (height x width), but the detector needs at least "
                f"{divisor}x{divisor} (size_divisor={divisor})"
            )
        bottom, right = -new_height % divisor, -new_width % divisor
        # First, since an exported program must not depend on the size of its example.
        if torch.compiler.is_compiling() or torch.jit.is_tracing() or bottom or right:
            value = float(getattr(self.data_preprocessor, "pad_value", 0))
            images = F.pad(images, (0, right, 0, bottom), value=value)
        frame = _Frame(
            scale=(new_height / height, new_width / width),
            input_shape=(height, width),
            output_shape=(new_height + bottom, new_width + right),
            divisor=divisor,
        )
        return images, frame


def _find_detector(detector: str | type | None) -> type:
    try:
        from mmdet.registry import MODELS as DETECTORS
    except ImportError as error:
        raise InputError(
            f"ResizerDetector needs MMDetection, which is not installed ({error}); "
            f"{HOW_TO_INSTALL_MMDET}"
        ) from error
    try:
        import mmcv.ops  # noqa: F401
        from mmdet.models.detectors import BaseDetector, SemiBaseDetector
    except ImportError as error:
        raise InputError(
            "MMDetection needs mmcv's compiled operators, and this mmcv has none "
            f"({error}); {HOW_TO_INSTALL_MMDET}"
        ) from error
    found = DETECTORS.get(detector) if isinstance(detector, str) else detector
    if not inspect.isclass(found) or not issubclass(found, BaseDetector):
        raise InputError(
            "detector must name a detector class of MMDetection, such as 'FasterRCNN' "
            f"(what `model.type` was), but got {detector!r}"
        )
    if issubclass(found, SemiBaseDetector):
        raise InputError(
            f"{found.__name__} holds detectors and is none itself: use a "
            "ResizerDetector as the detector inside it"
        )
    return found


def _to_frame(
    sample: "DetDataSample",
    frame: _Frame,
    data_preprocessor: nn.Module,
    ground_truth: bool = False,
) -> "DetDataSample":
    """Returns a shallow copy of a sample whose geometry is the resized batch's.

    Ground truth is changed on request only: for prediction it stays in the original
    image.
    """
    meta = sample.metainfo
    new: dict[str, Any] = dict(batch_input_shape=frame.output_shape)
    if "img_shape" in meta:
        new["img_shape"] = frame.shape(meta["img_shape"][:2])
    if "pad_shape" in meta:
        # Padded to the divisor too, as the data preprocessor does it.
        new["pad_shape"] = tuple(
            n + -n % frame.divisor for n in frame.shape(meta["pad_shape"][:2])
        )
    if "border" in meta:  # top, bottom, left, right
        y, x = frame.scale
        top, bottom, left, right = meta["border"]
        new["border"] = [top * y, bottom * y, left * x, right * x]
    copy = sample.new()
    copy.set_metainfo(new)
    if "proposals" in sample:
        copy.proposals = _resize_instances(sample.proposals, frame)
    if ground_truth:
        for name in ("gt_instances", "ignored_instances"):
            if name in sample:
                setattr(copy, name, _resize_instances(sample.get(name), frame))
        if "gt_sem_seg" in sample:
            value = getattr(data_preprocessor, "seg_pad_value", 255)
            labels = _resize_labels(sample.gt_sem_seg.sem_seg, frame, value)
            copy.gt_sem_seg = type(sample.gt_sem_seg)(sem_seg=labels)
    return copy


def _predictions(sample: "DetDataSample") -> dict:
    return {name: value for name, value in sample.items() if name.startswith("pred_")}


def _resize_instances(instances: "InstanceData", frame: _Frame) -> "InstanceData":
    copy = instances.new()
    if "bboxes" in instances:
        y, x = frame.scale
        if isinstance(instances.bboxes, Tensor):
            copy.bboxes = instances.bboxes * instances.bboxes.new_tensor([x, y, x, y])
        else:  # a box type of MMDetection, which rescales in place
            copy.bboxes = instances.bboxes.clone()
            copy.bboxes.rescale_((x, y))
    if "masks" in instances:
        masks = instances.masks
        copy.masks = masks.resize(frame.shape((masks.height, masks.width)))
        if (masks.height, masks.width) == frame.input_shape:
            copy.masks = copy.masks.pad(frame.output_shape)
    return copy


def _resize_labels(labels: Tensor, frame: _Frame, pad_value: int) -> Tensor:
    """Resizes a map of labels of shape (1, H, W)."""
    whole = tuple(labels.shape[-2:]) == frame.input_shape
    shape = frame.shape(labels.shape[-2:])
    resized = F.interpolate(labels[None].float(), size=shape, mode="nearest")[0]
    resized = resized.to(labels.dtype)
    if whole:
        bottom = frame.output_shape[0] - shape[0]
        right = frame.output_shape[1] - shape[1]
        resized = F.pad(resized, (0, right, 0, bottom), value=pad_value)
    return resized
