"""Any of MMSegmentation's segmentors with a resizer in front of it."""

import inspect
from typing import TYPE_CHECKING, Any

import torch.nn.functional as F  # noqa: N812
from mmengine.structures import PixelData
from torch import Tensor, nn

from mmresizer.models.utils import ResizingModel
from mmresizer.registry import MODELS
from mmresizer.utils import InputError
from mmresizer.utils.errors import HOW_TO_INSTALL_MMSEG, check_bool

if TYPE_CHECKING:
    from mmseg.structures import SegDataSample


@MODELS.register_module()
class ResizerSegmentor(ResizingModel):
    """A segmentor of MMSegmentation that resizes its images first.

    The resizer stands between the data preprocessor and the segmentor, which sees the
    resized batch. With ``mode="slide"`` the windows, ``crop_size`` and ``stride`` are
    in pixels of the resized batch. The logits are interpolated to the size of the batch
    that came in, so predictions refer to the original image, as without a resizer. The
    data samples are changed as MMSegmentation changes them: they get predictions.

    In training the heads interpolate their logits to the labels, which stay as they
    are. So the loss, and the accuracy in the log, are those of all pixels that came in.
    With ``resize_labels=True`` they are those of the small grid, as of the plain
    segmentor on resized data. Metrics of predictions are always those of the original
    image.

    The model is also an instance of the segmentor's class. Its parameters have the same
    names as there. So checkpoints fit both ways, and hooks, parameter-wise options and
    layer-wise learning-rate decay find what they look for.

    A segmentor that takes only multiples of a size, such as one with UNet, needs them
    from the resizer: choose crops, and a data preprocessor's ``test_cfg``, accordingly.

    Args:
        segmentor (str | type): The segmentor's class, such as "EncoderDecoder".
        resizer (dict | nn.Module): The resizer, a :class:`BaseResizer`.
        resize_labels (bool): Whether the loss has labels of the resized batch's size,
            by the nearest neighbour. Defaults to False.
        **kwargs: The segmentor's own arguments.

    Raises:
        InputError: If MMSegmentation is not installed, or an argument is not accepted.

    Examples:
        In a config that inherits one of MMSegmentation::

            _base_ = ["mmseg::fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py"]
            custom_imports = dict(imports=["mmresizer"])
            model = dict(
                type="mmresizer.ResizerSegmentor",
                segmentor="EncoderDecoder",
                resizer=dict(type="mmresizer.LearnedResizer", scale_factor=0.5),
            )
    """

    def __new__(cls, segmentor: str | type | None = None, *args: Any, **kwargs: Any):
        """Makes an instance of the segmentor's class, and of this one."""
        return cls._new(_find_segmentor(segmentor))

    def __init__(
        self,
        segmentor: str | type,
        resizer: dict | nn.Module,
        resize_labels: bool = False,
        **kwargs,
    ):
        super().__init__(resizer, **kwargs)
        check_bool("resize_labels", resize_labels)
        self.resize_labels = resize_labels

    def loss(self, inputs: Tensor, data_samples: list) -> dict:
        """Computes the segmentor's losses.

        Args:
            inputs (Tensor): Images of shape (N, C, H, W), after the data preprocessor.
            data_samples (list[SegDataSample]): Their labels, of shape (1, H, W). They
                are not changed.

        Returns:
            dict: The losses by name.
        """
        images = self.resizer(inputs)
        samples = [self._resize_sample(s, inputs, images) for s in data_samples]
        return super().loss(images, samples)  # type: ignore[misc]

    def inference(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Computes logits for each pixel; all predictions come from here.

        Args:
            inputs (Tensor): Images of shape (N, C, H, W), after the data preprocessor.
            batch_img_metas (list[dict]): Their meta data.

        Returns:
            Tensor: Logits of shape (N, number of classes, H, W).
        """
        images = self.resizer(inputs)
        # A tuple: heads take a torch.Size for that of a window. Without `pad_shape`,
        # which some heads would prefer to the size of a window.
        shape = tuple(images.shape[-2:])
        metas = [
            {k: v for k, v in meta.items() if k != "pad_shape"} | {"img_shape": shape}
            for meta in batch_img_metas
        ]
        logits = super().inference(images, metas)  # type: ignore[misc]
        return F.interpolate(
            logits,
            inputs.shape[-2:],
            mode="bilinear",
            align_corners=self.align_corners,
        )

    def _forward(self, inputs: Tensor, data_samples: list | None = None) -> Any:
        """Returns the raw outputs of the head for images of shape (N, C, H, W)."""
        return super()._forward(self.resizer(inputs), data_samples)  # type: ignore[misc]

    def _resize_sample(
        self, sample: "SegDataSample", inputs: Tensor, images: Tensor
    ) -> "SegDataSample":
        """Returns a shallow copy of a sample that describes the resized image."""
        copy = sample.new()
        shape = tuple(images.shape[-2:])
        content = sample.metainfo.get("img_shape", inputs.shape[-2:])[:2]
        sides = zip(content, shape, inputs.shape[-2:], strict=True)
        new_content = tuple(max(round(n * new / old), 1) for n, new, old in sides)
        copy.set_metainfo(
            dict(img_shape=new_content, pad_shape=shape, batch_input_shape=shape)
        )
        if self.resize_labels:
            for name, labels in sample.items():
                # Of one channel; as floats, which no label is too large for.
                resized = F.interpolate(labels.data[None].float(), shape)[0]
                data = PixelData(data=resized.to(labels.data.dtype))
                copy.set_data({name: data})
        return copy


def _find_segmentor(segmentor: str | type | None) -> type:
    try:
        from mmseg.models.segmentors import BaseSegmentor, DepthEstimator
        from mmseg.registry import MODELS as SEGMENTORS
    except ImportError as error:
        raise InputError(
            "ResizerSegmentor needs MMSegmentation, which is not installed "
            f"({error}); {HOW_TO_INSTALL_MMSEG}"
        ) from error
    found = SEGMENTORS.get(segmentor) if isinstance(segmentor, str) else segmentor
    if (
        not inspect.isclass(found)
        or not issubclass(found, BaseSegmentor)
        or issubclass(found, DepthEstimator)
    ):
        raise InputError(
            "segmentor must name a segmentor class of MMSegmentation, such as "
            f"'EncoderDecoder' (what `model.type` was), but got {segmentor!r}"
        )
    return found
