"""Earth mover's distance between distributions of ordered scores."""

import torch
from mmpretrain.models.losses.utils import weight_reduce_loss
from torch import Tensor, nn

from mmresizer.registry import MODELS
from mmresizer.utils import InputError


def earth_movers_distance(p: Tensor, q: Tensor, r: int = 2) -> Tensor:
    """Computes how far the mass of a distribution has to move to make another one.

    It is ``(mean over bins of |CDF_p - CDF_q|^r)^(1/r)``, as in `NIMA
    <https://arxiv.org/abs/1709.05424>`_, equation 1.

    Args:
        p (Tensor): Distributions over K ordered bins, shape (N, K); each sums to 1.
        q (Tensor): Other distributions of the same shape.
        r (int): 1 or 2. Defaults to 2.

    Returns:
        Tensor: Distances of shape (N,), from 0 to 1. At 0 the gradient is 0.
    """
    gap = (p - q).cumsum(dim=1)
    return torch.linalg.vector_norm(gap, r, dim=1) / gap.shape[1] ** (1 / r)


@MODELS.register_module()
class EMDLoss(nn.Module):
    """Earth mover's distance, to the power r, to the scores that people gave.

    The bins are ordered: unlike cross-entropy, the loss grows with the distance between
    bins. The power makes it smooth where the distributions are equal. For r = 2 it is
    the squared distance of the resizer's paper.

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
        >>> certain = torch.eye(4).log().clamp(min=-100)  # logits, each of one bin
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
        """Compares predictions with the scores that people gave.

        Args:
            cls_score (Tensor): Logits of shape (N, K).
            target (Tensor): Distributions of shape (N, K).
            weight (Tensor, optional): Weight of each image, shape (N,).
            avg_factor (float, optional): Divisor of the sum, instead of N.
            reduction_override (str, optional): "none", "mean" or "sum". Defaults to
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
