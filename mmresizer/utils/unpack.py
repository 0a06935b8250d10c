"""Unpacking of archives from the network."""

import gzip
import lzma
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from tqdm import tqdm

from .errors import InputError

_DAMAGES = (
    tarfile.TarError,
    gzip.BadGzipFile,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    ValueError,  # of names: no UTF-8, or with a NUL
    RuntimeError,  # what zipfile says of encryption and of unknown compression
    FileExistsError,  # an entry that is both a file and a folder
    IsADirectoryError,
    NotADirectoryError,
)


def unpack(archive: str | os.PathLike, folder: str | os.PathLike) -> None:
    """Unpacks a zip or tar.gz archive of plain files.

    No archive of a dataset needs anything else, so that links and devices, which could
    lead out of the folder, are refused, as are names that do.

    Args:
        archive (str | os.PathLike): .zip, .tar.gz or .tgz.
        folder (str | os.PathLike): Where the files go; made if it is missing.

    Raises:
        InputError: If the archive is damaged or has an entry that is refused.
    """
    entries = _read_zip if zipfile.is_zipfile(archive) else _read_tar
    try:
        for name, file in tqdm(
            entries(archive), desc=Path(archive).name, unit=" files", disable=None
        ):
            path = PurePosixPath(name.replace("\\", "/"))
            parts = path.parts
            if not parts or path.is_absolute() or ".." in parts or ":" in parts[0]:
                raise InputError(
                    f"{str(archive)!r} is refused: its entry {name!r} leads out of the "
                    "folder"
                )
            target = Path(folder, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            with file, open(target, "wb") as output:
                shutil.copyfileobj(file, output)
    except InputError:
        raise
    except _DAMAGES as e:
        raise InputError(
            f"{str(archive)!r} is no complete zip or tar.gz archive ({e})"
        ) from e


def _refuse(archive: str | os.PathLike, name: str) -> InputError:
    return InputError(
        f"{str(archive)!r} is refused: its entry {name!r} is a link or a device; only "
        "files and folders are accepted"
    )


def _read_tar(archive: str | os.PathLike) -> Iterator[tuple[str, IO[bytes]]]:
    # The stream is opened apart from the archive, which does not read it to its end.
    with gzip.open(archive) as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
        for member in tar:
            if member.isdir():
                continue
            if not member.isfile():
                raise _refuse(archive, member.name)
            file = tar.extractfile(member)
            assert file is not None  # for it is a file
            yield member.name, file
        while stream.read(1 << 20):  # the checksum is at its end
            pass


def _read_zip(archive: str | os.PathLike) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(archive) as zipped:
        for info in zipped.infolist():
            if info.is_dir():
                continue
            # Archives of other systems than Unix have no type here.
            if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
                raise _refuse(archive, info.filename)
            yield info.filename, zipped.open(info)
