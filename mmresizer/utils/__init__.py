"""Helpers without a better place."""

from .errors import InputError, exit_on_input_error

__all__ = ["InputError", "exit_on_input_error"]
