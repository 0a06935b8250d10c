"""Download, unpacking and checks of a dataset, in one step."""

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from filelock import FileLock

from mmresizer.utils import InputError
from mmresizer.utils.download import download, is_published
from mmresizer.utils.unpack import unpack

from .sources import SOURCES, Archive, Source


def prepare_dataset(name: str, dest: str | os.PathLike = "data") -> str:
    """Makes a dataset ready for the configs.

    Archives are downloaded, unpacked and checked in a temporary folder, which gets its
    final name when it is complete. A folder that is there already is checked only, and
    missing lists of images are written to it. An archive that lies in ``dest`` under
    its own name is used and kept.

    Args:
        name (str): One of :data:`SOURCES`.
        dest (str | os.PathLike): Folder of all datasets, made if it is missing.

    Returns:
        str: What was found, in one line.

    Raises:
        InputError: If there is no such dataset, ``dest`` cannot be written to, a
            download fails, or the images are not those of the dataset.
    """
    source = _find_source(name)
    dest = Path(dest).expanduser().absolute()
    folder = dest / source.folder
    try:
        if folder.exists():  # it may be read-only
            report = _check(source, folder)
        else:
            dest.mkdir(parents=True, exist_ok=True)
            with FileLock(dest / f".{name}.lock"):
                made = folder.exists()  # by the process that had the lock before
                report = _check(source, folder) if made else _make(source, dest)
    except OSError as e:
        raise InputError(
            f"cannot read or write {str(e.filename or dest)!r} ({e.strerror or e}); "
            "--dest must be a folder with room that can be written"
        ) from e
    return f"{name}: {report}, in {str(folder)!r}"


def check_dataset(name: str, folder: str | os.PathLike) -> str:
    """Checks the folder of a dataset and writes the lists of images that it lacks.

    Args:
        name (str): One of :data:`SOURCES`.
        folder (str | os.PathLike): Holds what the archive of the dataset holds.

    Returns:
        str: What was found, in one line.

    Raises:
        InputError: If there is no such dataset, or its images are missing.
    """
    source = _find_source(name)
    if not Path(folder).is_dir():
        raise InputError(f"the folder {str(folder)!r} does not exist")
    return f"{name}: {source.prepare(Path(folder))}"


def _check(source: Source, folder: Path) -> str:
    """Prepares a folder that was there before."""
    try:
        return source.prepare(folder)
    except InputError as e:
        hint = "; complete it, or move it away to have it made anew"
        raise InputError(
            f"{e}{hint if source.archives or source.parent else ''}"
        ) from e


def _find_source(name: str) -> Source:
    if name not in SOURCES:
        raise InputError(
            f"there is no dataset {name!r}; it must be one of {', '.join(SOURCES)}"
        )
    return SOURCES[name]


def _make(source: Source, dest: Path) -> str:
    """Makes the folder of a dataset, which has another name until it is complete."""
    if source.parent:
        prepare_dataset(source.parent, dest)
    elif not source.archives:
        raise InputError(
            f"the folder {str(dest / source.folder)!r} does not exist and cannot be "
            f"downloaded: {source.hint}"
        )
    files = [_fetch(archive, dest) for archive in source.archives]
    with tempfile.TemporaryDirectory(dir=dest, prefix=f".{source.folder}-") as made:
        folder = Path(made, source.folder)
        if source.parent and source.build:
            source.build(dest / SOURCES[source.parent].folder, folder)
        for archive, file in zip(source.archives, files, strict=True):
            target = Path(made, archive.folder)
            if file.suffix in (".tgz", ".zip"):
                unpack(file, target)
            else:
                target.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, target)
        try:
            report = source.prepare(folder)
        except InputError as e:
            # The temporary folder is removed: the message names the final one.
            raise InputError(str(e).replace(f"{made}/", "")) from e
        folder.rename(dest / source.folder)
    for file in files:
        if file.parent != dest:
            file.unlink()
            file.with_name(f".{file.name}.lock").unlink(missing_ok=True)
    with suppress(OSError):  # it is missing, or holds files of another dataset
        (dest / ".downloads").rmdir()
    return report


def _fetch(archive: Archive, dest: Path) -> Path:
    """Returns the archive that the user has put there, or downloads it."""
    file = dest / archive.name
    if is_published(file, archive.digest, archive.size):
        return file
    file = dest / ".downloads" / archive.name
    return download(archive.url, file, archive.digest, archive.size)
