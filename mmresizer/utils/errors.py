"""Errors of the input, and the messages that users read."""

import os
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper

# For messages.
HOW_TO_INSTALL_MMDET = (
    "`bash tools/setup_env.sh --detection` installs MMDetection and mmcv's operators; "
    "in an environment of your own: `pip install onedl-mmdetection` and "
    "`MMCV_WITH_OPS=1 pip install --no-build-isolation --no-cache-dir "
    "--force-reinstall --no-deps onedl-mmcv`"
)


class InputError(ValueError):
    """The input (config, argument, image or checkpoint) is at fault, not the code.

    The message is one sentence that names the offending value and what is accepted.
    """


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


def one_line(error: BaseException) -> str:
    """Returns what an exception says, without line breaks."""
    return " ".join(str(error).split())


def describe_error(error: BaseException) -> str:
    """Returns the type of an exception and what it says, without line breaks.

    One that says nothing is described by the function that raised it.
    """
    reason = one_line(error)
    if not reason and (frames := [*traceback.walk_tb(error.__traceback__)]):
        frame, line = frames[-1]
        code = frame.f_code
        reason = f"raised by {code.co_qualname}, {code.co_filename}, line {line}"
    return f"{type(error).__name__}: {reason}"


@contextmanager
def exit_on_input_error(interrupted: str = "interrupted") -> Iterator[None]:
    """Ends the program with one sentence, and status 1, when the input is at fault.

    When the user interrupts it, the sentence is ``interrupted`` and the status 130. Any
    other exception is a bug and passes with its traceback. In a distributed job each
    process prints its own sentence, since the fault may be on its machine alone.
    ``MMRESIZER_DEBUG=1`` in the environment brings the traceback back.
    """
    # Names of files need not be UTF-8.
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="surrogateescape")
    try:
        yield
    except KeyboardInterrupt:
        print(interrupted, file=sys.stderr)
        sys.exit(130)
    except (InputError, OSError) as e:
        if os.environ.get("MMRESIZER_DEBUG", "0") != "0":
            raise
        # The worker process of a data loader sends its traceback as the message. The
        # sentence is the last line, behind the name of the exception.
        message = str(e).strip()
        if "Original Traceback" in message:
            message = message.splitlines()[-1].partition(": ")[2]
        rank = f"[rank {os.environ['RANK']}] " if "RANK" in os.environ else ""
        print(f"{rank}error: {message}", file=sys.stderr)
        sys.exit(1)
