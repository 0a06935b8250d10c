"""Comparison of resizers: training of all arms, statistics, tables and plots.

The process of a run imports this package: it holds nothing that takes time to import.
"""
