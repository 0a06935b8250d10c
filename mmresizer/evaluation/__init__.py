"""Metrics that MMPretrain lacks; none so far."""
