"""Errors of the input, and the messages that users read."""

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper


class InputError(ValueError):
    """The input (config, argument, image or checkpoint) is at fault, not the code.

    The message is one sentence that names the offending value and what is accepted.
    """


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
