"""The head for image quality assessment."""

from typing import Any

import torch
from mmpretrain.models import LinearClsHead
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from mmresizer.models.losses import EMDLoss
from mmresizer.registry import MODELS
from mmresizer.utils import InputError
from mmresizer.utils.errors import check_int


@MODELS.register_module()
class IQAHead(LinearClsHead):
    """Predicts how people would score an image, from 1 to ``num_scores``.

    The head predicts the distribution of the scores, with a softmax, or for regression
    its mean alone. The data samples have the distribution as ``gt_score``. Predictions
    are ``pred_mean`` and, unless for regression, ``pred_score``.

    Args:
        in_channels (int): Number of channels of the features.
        num_scores (int): Number of scores. Defaults to 10.
        regression (bool): Whether to predict the mean alone. Defaults to False.
        loss (dict, optional): Loss between logits and distributions, both of shape
            (N, num_scores); for regression between means, both of shape (N,). Defaults
            to ``dict(type='mmresizer.EMDLoss')``, for regression to torch's
            ``MSELoss``.
        **kwargs (Any): Other arguments of :class:`mmpretrain.models.LinearClsHead`.

    Raises:
        InputError: If ``num_scores`` is no int of 2 or more, or ``EMDLoss`` is given
            for regression.
    """

    def __init__(
        self,
        in_channels: int,
        num_scores: int = 10,
        regression: bool = False,
        loss: dict | nn.Module | None = None,
        **kwargs: Any,
    ):
        check_int("num_scores", num_scores, 2)
        if loss is None:
            loss = nn.MSELoss() if regression else dict(type="mmresizer.EMDLoss")
        super().__init__(
            num_classes=1 if regression else num_scores,
            in_channels=in_channels,
            loss=loss,
            **kwargs,
        )
        if regression and isinstance(self.loss_module, EMDLoss):
            raise InputError(
                "regression=True needs a loss of numbers, such as MSELoss of torch, "
                "but got EMDLoss, which is of distributions"
            )
        self.regression = regression
        scores = torch.arange(1, num_scores + 1, dtype=torch.float)
        self.register_buffer("scores", scores, persistent=False)

    def _get_loss(
        self, cls_score: Tensor, data_samples: list[DataSample], **kwargs: Any
    ) -> dict[str, Tensor]:
        target = torch.stack([sample.gt_score for sample in data_samples]).to(cls_score)
        if self.regression:
            return {
                "loss": self.loss_module(self._means(cls_score), self._mean(target))
            }
        loss = self.loss_module(cls_score, target, avg_factor=len(target), **kwargs)
        return {"loss": loss}

    def _get_predictions(
        self, cls_score: Tensor, data_samples: list[DataSample | None] | None
    ) -> list[DataSample]:
        samples = [
            sample or DataSample() for sample in data_samples or [None] * len(cls_score)
        ]
        for sample, mean in zip(samples, self._means(cls_score), strict=True):
            sample.set_field(mean, "pred_mean")
        if not self.regression:
            for sample, score in zip(samples, cls_score.softmax(dim=1), strict=True):
                sample.set_pred_score(score)
        return samples

    def _means(self, cls_score: Tensor) -> Tensor:
        """Returns the predicted means, (N,)."""
        if self.regression:
            # An untrained head predicts the middle.
            return cls_score[:, 0] + self.scores.mean()
        return self._mean(cls_score.softmax(dim=1))

    def _mean(self, distribution: Tensor) -> Tensor:
        return distribution @ self.scores.to(distribution)
