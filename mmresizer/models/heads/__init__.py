"""Heads that MMPretrain lacks."""

from .iqa_head import IQAHead

__all__ = ["IQAHead"]
