"""The folder of a comparison, in which one process works at a time."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from mmresizer.utils import InputError
from mmresizer.utils.files import make_folder


@contextmanager
def work_folder(work_dir: str) -> Iterator[Path]:
    """Makes the folder of a comparison, and keeps other processes out of it.

    Yields:
        Path: Its absolute path.

    Raises:
        InputError: If it is a file, is full or cannot be written to, or another process
            works in it.
    """
    try:
        folder = make_folder(work_dir).absolute()
        with FileLock(folder / ".lock", blocking=False):
            yield folder
    except Timeout as e:
        raise InputError(
            f"another process works in --work-dir {work_dir!r}; wait for it, or take "
            "another"
        ) from e
    except OSError as e:
        if e.errno != errno.ENOSPC:
            raise
        raise InputError(
            f"the disk of --work-dir {work_dir!r} is full; make room, and the same "
            "command goes on with the runs that are left"
        ) from e


def run_folder(folder: Path, arm: str, seed: int) -> Path:
    """Returns the folder of a run in that of its comparison."""
    return folder / "runs" / arm / f"seed{seed}"
