"""Names of images; writing of files, whole or not at all, and their digests."""

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import InputError

# What folders are searched for.
IMAGE_EXTENSIONS = (
    *(".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".jp2"),
    *(".pbm", ".pgm", ".ppm", ".pnm"),
)


@contextmanager
def writing(folder: str | os.PathLike) -> Iterator[None]:
    """Turns failures to write to a folder into one sentence.

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
    """Makes a folder if it is missing, and checks that it can be written to.

    Raises:
        InputError: If the path is a file, or the folder cannot be made or written to.
    """
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"the folder {str(path)!r} is a file")
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    return folder


def printable(name: str) -> str:
    """Returns a name with a question mark for what is no UTF-8 or cannot be drawn."""
    text = name.encode(errors="replace").decode()
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def write_atomically(path: Path, content: str | bytes) -> None:
    """Writes a file so that it is never half written, even if interrupted.

    Its folder is made if it is missing. Text becomes UTF-8; names of files in it that
    are none stay as they are.

    Raises:
        OSError: If the file cannot be written. An old file is kept then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if isinstance(content, str):
            content = content.encode(errors="surrogateescape")
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # complete before it gets its name
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def file_digest(path: str | Path) -> str:
    """Returns the SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
