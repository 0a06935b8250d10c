"""Costs and speed of models, and which backbones take a resizer."""
