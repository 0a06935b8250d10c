"""Files that are whole or not there, and their digests."""

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import InputError


@contextmanager
def writing(folder: str | os.PathLike) -> Iterator[None]:
    """Turns failures to write into a folder into one sentence.

    Raises:
        InputError: In place of an ``OSError``.
    """
    try:
        yield
    except OSError as e:
        if e.errno == errno.ENOSPC:
            message = f"the disk of {str(folder)!r} is full; make room and try again"
        else:
            message = f"cannot write to {str(folder)!r} ({e.strerror or e})"
        raise InputError(message) from e


def make_folder(path: str | os.PathLike) -> Path:
    """Makes a folder, unless it is there, and tries whether it can be written to.

    Raises:
        InputError: If it is a file, or cannot be made or written to.
    """
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"the folder {str(path)!r} is a file")
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    return folder


def write_atomically(path: Path, content: str | bytes) -> None:
    """Writes a file that no reader, and no interruption, sees half written.

    Its folder is made if it is missing.

    Raises:
        OSError: If it cannot be written; what was there before is kept.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        part.write_bytes(content.encode() if isinstance(content, str) else content)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def file_digest(path: str | Path) -> str:
    """Returns the SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
