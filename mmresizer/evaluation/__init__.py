"""Metrics that MMPretrain lacks."""

from .classwise_iou_metric import ClasswiseIoUMetric
from .iqa_metric import IQAMetric

__all__ = ["ClasswiseIoUMetric", "IQAMetric"]
