"""Comparison of resizers: training of all arms, statistics, tables and plots."""

from .compare import compare
from .executors import LocalExecutor, RayExecutor
from .report import render, write_report
from .spec import load_spec

__all__ = [
    "LocalExecutor",
    "RayExecutor",
    "compare",
    "load_spec",
    "render",
    "write_report",
]
