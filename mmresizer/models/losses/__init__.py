"""Losses that MMPretrain lacks."""

from .emd_loss import EMDLoss, earth_movers_distance

__all__ = ["EMDLoss", "earth_movers_distance"]
