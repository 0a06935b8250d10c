"""Losses that MMPretrain lacks."""

from .emd_loss import EMDLoss, earth_movers_distance
from .rate_loss import RateLoss, bits_of_differences

__all__ = ["EMDLoss", "RateLoss", "bits_of_differences", "earth_movers_distance"]
