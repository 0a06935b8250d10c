"""Helpers: errors, files, downloads, processes, command lines."""

from .errors import InputError, exit_on_input_error

__all__ = ["InputError", "exit_on_input_error"]
