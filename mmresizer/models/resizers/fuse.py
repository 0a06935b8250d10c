"""The convolution of the learned resizer behind its residual blocks."""

from torch import Tensor, nn

from .residual_block import ConvNorm


class Fuse(ConvNorm):
    """A :class:`ConvNorm` that timm's ``reparameterize_model`` may take for a method.

    That function replaces each module that has a ``fuse`` by what ``fuse()`` returns.

    Args:
        resizer (nn.Module): The resizer that this layer is the ``fuse`` of.
        channels (int): Number of channels of input and output.
        norm_cfg (dict, optional): Norm layer.
    """

    def __init__(self, resizer: nn.Module, channels: int, norm_cfg: dict | None):
        super().__init__(channels, norm_cfg)
        self._resizer = [resizer]  # in a list, or it would be a layer of this one

    def forward(self, z: Tensor | None = None) -> Tensor | nn.Module:
        """Maps (N, channels, H, W) to the same shape; returns the resizer for None."""
        return self._resizer[0] if z is None else super().forward(z)
