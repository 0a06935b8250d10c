"""Configs: loading and checking them, and building what they describe.

``import mmresizer`` imports this package: it holds nothing that takes time to import.
"""
