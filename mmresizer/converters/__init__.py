"""Weights of other implementations, to this one's names and back."""
