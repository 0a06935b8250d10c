"""Samplers that MMPretrain lacks."""

from .same_shape_batch_sampler import SameShapeBatchSampler

__all__ = ["SameShapeBatchSampler"]
