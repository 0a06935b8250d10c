"""Plain interpolation: the baseline of every learned resizer."""

from torch import Tensor

from mmresizer.registry import MODELS

from .base_resizer import BaseResizer


@MODELS.register_module()
class InterpolationResizer(BaseResizer):
    """Resizes images by interpolation. It has no weights.

    The arguments are those of :class:`BaseResizer`.

    Examples:
        >>> import torch
        >>> from mmresizer.models import InterpolationResizer
        >>> InterpolationResizer(output_size=(24, 32))(torch.rand(2, 3, 96, 128)).shape
        torch.Size([2, 3, 24, 32])
    """

    def forward(self, x: Tensor) -> Tensor:
        """See :meth:`BaseResizer.forward`."""
        return self.finish(self.interpolate(x))
