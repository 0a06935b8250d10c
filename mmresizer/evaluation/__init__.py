"""Metrics that MMPretrain lacks."""

from .iqa_metric import IQAMetric

__all__ = ["IQAMetric"]
