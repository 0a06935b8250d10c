"""One-stage detectors as modules that give one tensor."""

from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn

from mmresizer.utils import InputError


class DenseDetector(nn.Module):
    """A detector whose head gives maps of several levels, which become one tensor.

    A row of the tensor, of shape (N, P, C), is a position in the maps: level by level,
    and line by line. Its C values are the channels of all maps at that position.

    Args:
        detector (nn.Module): A :class:`ResizerDetector`, in eval mode.
        example (Tensor): Images of shape (N, C, H, W).

    Attributes:
        channels (dict[str, int]): How many channels the head's outputs have, in their
            order, by the names that its ``predict_by_feat`` has for them.

    Raises:
        InputError: If it is no one-stage detector, or its maps do not fit together.
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
        with torch.no_grad():
            outputs = detector(example)
        if not _are_maps(outputs):
            raise InputError(
                f"of a {type(detector).__name__} only the part 'resizer' can be "
                f"exported: its {type(detector.bbox_head).__name__} does not give maps "
                "of the same sizes and channels for each of its outputs"
            )
        names = [*signature(detector.bbox_head.predict_by_feat).parameters]
        self.channels = {
            name: maps[0].shape[1] for name, maps in zip(names, outputs, strict=False)
        }

    def forward(self, images: Tensor) -> Tensor:
        """Maps images of shape (N, C, H, W) to a tensor of shape (N, P, C)."""
        levels = zip(*self.detector(images), strict=True)
        rows = [torch.cat([m.flatten(2).mT for m in maps], dim=2) for maps in levels]
        return torch.cat(rows, dim=1)


def _are_maps(outputs: Any) -> bool:
    """Whether outputs are lists of maps, as many and of the same sizes each."""
    if not isinstance(outputs, tuple | list) or not outputs:
        return False
    for maps in outputs:
        if not isinstance(maps, tuple | list):
            return False
        if not all(isinstance(m, Tensor) and m.ndim == 4 for m in maps):
            return False
        if len({m.shape[1] for m in maps}) != 1:
            return False
    sizes = {tuple(m.shape[2:] for m in maps) for maps in outputs}
    return len(sizes) == 1
