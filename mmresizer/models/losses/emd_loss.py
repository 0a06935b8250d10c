"""Earth mover's distance between distributions of ordered scores."""

import torch
from mmpretrain.models.losses.utils import weight_reduce_loss
from torch import Tensor, nn

from mmresizer.registry import MODELS
from mmresizer.utils import InputError


def earth_movers_distance(p: Tensor, q: Tensor, r: int = 2) -> Tensor:
    """Computes how far the mass of a distribution has to be moved to make another.

    ``(mean over bins of |CDF_p - CDF_q|^r)^(1/r)``, as in `NIMA
    <https://arxiv.org/abs/1709.05424>`_, equation 1.

    Args:
        p (Tensor): Distributions of shape (N, K), over K ordered bins, that sum to 1.
        q (Tensor): Others of the same shape.
        r (int): 1 or 2. Defaults to 2.

    Returns:
        Tensor: Distances of shape (N,), from 0 to 1. At 0, the gradient is 0.
    """
    gap = (p - q).cumsum(dim=1)
    return torch.linalg.vector_norm(gap, r, dim=1) / gap.shape[1] ** (1 / r)


@MODELS.register_module()
class EMDLoss(nn.Module):
    """Earth mover's distance to the power r, of scores that people gave.

    Of bins in order: unlike cross-entropy it grows with the distance of the bins. The
    power makes it smooth where the distributions are equal; for r = 2 it is the squared
    distance of the resizer's paper.

    Args:
        r (int): 1 or 2. Defaults to 2.
        root (bool): Whether to take the r-th root, that is, the distance itself.
            Defaults to False.
        loss_weight (float): Defaults to 1.

    Raises:
        InputError: If ``r`` is another number.

    Examples:
        >>> import torch
        >>> from mmresizer.models import EMDLoss
        >>> certain = torch.eye(4).log().clamp(min=-100)  # of one bin each, as logits
        >>> EMDLoss()(certain[[0]], torch.eye(4)[[1]])
        tensor(0.2500)
        >>> EMDLoss()(certain[[0]], torch.eye(4)[[3]])
        tensor(0.7500)
    """

    def __init__(self, r: int = 2, root: bool = False, loss_weight: float = 1.0):
        super().__init__()
        if r not in (1, 2):
            raise InputError(f"r must be 1 or 2, got {r!r}")
        self.r = r
        self.root = root
        self.loss_weight = loss_weight

    def forward(
        self,
        cls_score: Tensor,
        target: Tensor,
        weight: Tensor | None = None,
        avg_factor: float | None = None,
        reduction_override: str | None = None,
    ) -> Tensor:
        """Compares predictions with what people gave.

        Args:
            cls_score (Tensor): Logits of shape (N, K).
            target (Tensor): Distributions of shape (N, K).
            weight (Tensor, optional): Of each image, shape (N,).
            avg_factor (float, optional): What the sum is divided by, in place of N.
            reduction_override (str, optional): "none", "mean" or "sum" in place of
                "mean".

        Returns:
            Tensor: The loss.
        """
        loss = earth_movers_distance(cls_score.softmax(dim=1), target, self.r)
        if not self.root:
            loss = loss**self.r
        return self.loss_weight * weight_reduce_loss(
            loss, weight, reduction_override or "mean", avg_factor
        )
