"""One-stage detectors as modules that give one tensor."""

from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn

from mmresizer.utils import InputError
from mmresizer.utils.errors import describe_error
from mmresizer.utils.tables import show_size


class DenseDetector(nn.Module):
    """A detector whose head gives maps of several levels, which become one tensor.

    A row of the tensor, of shape (N, P, C), is a position in the maps: level by level,
    and line by line. Its C values are the channels of all maps at that position. The
    maps of a level of stride s have a height and width of ceil(n / s), where n is that
    of the resized image, padded to a multiple of ``size_divisor``.

    Args:
        detector (nn.Module): A :class:`ResizerDetector`, in eval mode.
        example (Tensor): Images of shape (N, C, H, W).

    Attributes:
        layout (dict): The ``channels`` of the head's outputs, in their order, by the
            names that its ``predict_by_feat`` has for them; the ``strides`` of the
            levels; the ``size_divisor``.

    Raises:
        InputError: If it is no one-stage detector, it does not take the example, or its
            maps do not fit together.
    """

    def __init__(self, detector: nn.Module, example: Tensor):
        from mmdet.models.detectors import SingleStageDetector

        super().__init__()
        if not isinstance(detector, SingleStageDetector):
            raise InputError(
                f"of a {type(detector).__name__} only the part 'resizer' can be "
                "exported: it is no one-stage detector, whose head gives maps"
            )
        self.detector: Any = detector
        try:
            with torch.no_grad():
                outputs = detector(example)
        except InputError:
            raise
        except Exception as e:
            raise InputError(
                "the detector itself does not take images of shape "
                f"{show_size(example.shape)} ({describe_error(e):.200}); RTMDet and "
                "YOLOX need size_divisor=32"
            ) from e
        head = detector.bbox_head
        names = [*signature(head.predict_by_feat).parameters]
        names = names[: names.index("batch_img_metas")]
        generator = getattr(head, "prior_generator", None)
        strides = [int(max(pair)) for pair in getattr(generator, "strides", [])]
        if not _are_maps(outputs, len(strides)) or len(outputs) > len(names):
            raise InputError(
                f"of a {type(detector).__name__} only the part 'resizer' can be "
                f"exported: its {type(head).__name__} does not give maps of known "
                "strides, of the same sizes and channels for each of its outputs"
            )
        self.layout = {
            "channels": {
                name: maps[0].shape[1]
                for name, maps in zip(names, outputs, strict=False)
            },
            "strides": strides,
            "size_divisor": detector.size_divisor,
        }

    def forward(self, images: Tensor) -> Tensor:
        """Maps images of shape (N, C, H, W) to a tensor of shape (N, P, C)."""
        levels = zip(*self.detector(images), strict=True)
        # OpenVINO does not know `mT`.
        rows = [
            torch.cat([m.flatten(2).transpose(1, 2) for m in maps], dim=2)
            for maps in levels
        ]
        return torch.cat(rows, dim=1)


def _are_maps(outputs: Any, levels: int) -> bool:
    """Whether outputs are lists of maps, one for each level, of the same sizes each."""
    if not isinstance(outputs, tuple | list) or not outputs:
        return False
    for maps in outputs:
        if not isinstance(maps, tuple | list) or len(maps) != levels:
            return False
        if not all(isinstance(m, Tensor) and m.ndim == 4 for m in maps):
            return False
        if len({m.shape[1] for m in maps}) != 1:
            return False
    sizes = {tuple(m.shape[2:] for m in maps) for maps in outputs}
    return len(sizes) == 1
