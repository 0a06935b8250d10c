"""Preparation of the datasets that the configs read."""

from .prepare import check_dataset, prepare_dataset
from .sources import SOURCES

__all__ = ["SOURCES", "check_dataset", "prepare_dataset"]
