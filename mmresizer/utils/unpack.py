"""Unpacking of archives from the network."""

import gzip
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

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
    lead out of the folder, are refused, as are names that do. The libraries would
    rename them instead, or accept links that stay inside.

    Args:
        archive (str | os.PathLike): .zip, .tar.gz or .tgz.
        folder (str | os.PathLike): Where the files go; made if it is missing.

    Raises:
        InputError: If the archive is damaged or has an entry that is refused.
    """
    unpack_entries = _unpack_zip if zipfile.is_zipfile(archive) else _unpack_tar
    try:
        unpack_entries(archive, folder)
    except InputError:
        raise
    except _DAMAGES as e:
        raise InputError(
            f"{str(archive)!r} is no complete zip or tar.gz archive ({e})"
        ) from e


def _unpack_tar(archive: str | os.PathLike, folder: str | os.PathLike) -> None:
    # The stream is opened apart from the archive, which does not read it to its end.
    with gzip.open(archive) as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
        # It drops owners and unsafe modes. The first releases of Python 3.11 lack it.
        tar.extraction_filter = getattr(tarfile, "data_filter", None)
        for member in _show(archive, tar):
            if not member.isdir():
                member.name = _check(archive, member.name, member.isfile())
                tar.extract(member, folder)
        while stream.read(1 << 20):  # the checksum is at its end
            pass


def _unpack_zip(archive: str | os.PathLike, folder: str | os.PathLike) -> None:
    with zipfile.ZipFile(archive) as zipped:
        for info in _show(archive, zipped.infolist()):
            if not info.is_dir():
                # Archives of other systems than Unix have no type here.
                kind = stat.S_IFMT(info.external_attr >> 16)
                is_file = kind in (0, stat.S_IFREG)
                info.filename = _check(archive, info.filename, is_file)
                zipped.extract(info, folder)


def _show(archive: str | os.PathLike, entries: Iterable) -> Iterable:
    return tqdm(entries, desc=Path(archive).name, unit=" files", disable=None)


def _check(archive: str | os.PathLike, name: str, is_file: bool) -> str:
    """Refuses an entry, or returns its name with the separators of Unix."""
    if not is_file:
        raise InputError(
            f"{str(archive)!r} is refused: its entry {name!r} is a link or a device; "
            "only files and folders are accepted"
        )
    path = PurePosixPath(name.replace("\\", "/"))
    parts = path.parts
    if not parts or path.is_absolute() or ".." in parts or ":" in parts[0]:
        raise InputError(
            f"{str(archive)!r} is refused: its entry {name!r} leads out of the folder"
        )
    return str(path)
