"""Errors of the input, and checks of arguments."""

from collections.abc import Iterable

# Defined where torch is not needed.
from mmresizer_client.errors import (
    InputError,
    describe_error,
    exit_on_input_error,
    one_line,
)

__all__ = [
    "HOW_TO_INSTALL_MMDET",
    "HOW_TO_INSTALL_MMSEG",
    "InputError",
    "check_bool",
    "check_choice",
    "check_int",
    "check_keys",
    "describe_error",
    "exit_on_input_error",
    "one_line",
]

# For messages.
HOW_TO_INSTALL_MMDET = (
    "`bash tools/setup_env.sh --detection` installs MMDetection and mmcv's operators; "
    "in an environment of your own: `pip install onedl-mmdetection` and "
    "`MMCV_WITH_OPS=1 pip install --no-build-isolation --no-cache-dir "
    "--force-reinstall --no-deps onedl-mmcv`"
)
HOW_TO_INSTALL_MMSEG = (
    "`bash tools/setup_env.sh` installs MMSegmentation; in an environment of your own: "
    "`pip install onedl-mmsegmentation`"
)


def check_int(name: str, value: object, least: int) -> None:
    """Checks that an argument is an int, and not below the least one accepted.

    Raises:
        InputError: If it is not.
    """
    if type(value) is not int or value < least:
        raise InputError(f"{name} must be an int of {least} or more, got {value!r}")


def check_bool(name: str, value: object) -> None:
    """Checks that an argument is True or False.

    Raises:
        InputError: If it is not.
    """
    if not isinstance(value, bool):
        raise InputError(f"{name} must be True or False, but got {value!r}")


def check_choice(name: str, value: object, choices: Iterable[str]) -> None:
    """Checks that an argument is one of the words accepted.

    Raises:
        InputError: If it is not.
    """
    words = tuple(choices)
    if value not in words:
        raise InputError(f"{name} must be one of {', '.join(words)}, got {value!r}")


def check_keys(what: str, keys: Iterable[str], accepted: Iterable[str]) -> None:
    """Checks that all keys are among those that are accepted.

    Raises:
        InputError: If one is not.
    """
    names = tuple(accepted)
    for key in keys:
        if key not in names:
            raise InputError(
                f"{what} has an unknown key {key!r}; accepted are {', '.join(names)}"
            )
