"""Downloads that end with the right bytes or with one clear sentence."""

import errno
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pooch
import requests
import urllib3
from filelock import FileLock
from tqdm import tqdm

from .errors import InputError

# Seconds without a byte, failures in a row, and seconds before another attempt.
_TIMEOUT = 30.0
_ATTEMPTS = 5
_LONGEST_PAUSE = 30.0
_CHUNK = 1 << 18

# Answers after which another attempt may succeed.
_TRANSIENT = {408, 425, 429, 500, 502, 503, 504}

# It reports each file in several lines; the progress bar says enough.
pooch.get_logger().setLevel("WARNING")

_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")


def download(
    url: str,
    path: str | os.PathLike,
    digest: str | None = None,
    size: int | None = None,
) -> Path:
    """Downloads a file with a progress bar, unless it is there already.

    The file gets its name only when it is complete and its size and digest are right.
    What a broken transfer has brought lies beside it as ``NAME.part``, and the next
    attempt, of this call or of a later one, asks the server for the rest. When several
    processes ask for one file, one transfers it and the others wait. Proxies are those
    of the environment (``HTTPS_PROXY`` and so on).

    Args:
        url (str): Address, http or https.
        path (str | os.PathLike): Where the file goes; its folder is made.
        digest (str, optional): Published digest, "sha256:HEX" or "md5:HEX". A file of
            another digest is refused, and replaced where it lies at ``path``.
        size (int, optional): Published size in bytes.

    Returns:
        Path: ``path``.

    Raises:
        InputError: If the server cannot be reached, has no such file or sends another
            one, or the file cannot be written.
    """
    path = Path(path).absolute()
    with _writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock")):
            if size is not None and path.is_file() and path.stat().st_size != size:
                path.unlink()
            transfer = _Transfer(path, bool(digest), size)
            arguments = (url, digest, path.name, path.parent)
            try:
                try:
                    pooch.retrieve(*arguments, downloader=transfer)
                except ValueError as e:
                    # Parts of two versions of a file may have been put together.
                    if isinstance(e, InputError) or not transfer.resumed:
                        raise
                    pooch.retrieve(*arguments, downloader=transfer)
            except ValueError as e:
                if isinstance(e, InputError):
                    raise
                raise InputError(
                    f"{url} is not the published file: its digest is not {digest}; "
                    "nothing was kept"
                ) from e
    return path


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Turns failures to write into one sentence."""
    try:
        yield
    except requests.RequestException:
        raise  # an OSError too, but of the network
    except OSError as e:
        if e.errno == errno.ENOSPC:
            message = f"the disk of {str(folder)!r} is full; make room and try again"
        else:
            message = f"cannot write to {str(folder)!r} ({e.strerror or e})"
        raise InputError(message) from e


class _Transfer:
    """Downloader for pooch that goes on where a broken transfer has stopped.

    Args:
        path (Path): Final name of the file; the part lies beside it.
        has_digest (bool): Whether the whole will be checked by its digest.
        size (int, optional): Published size in bytes.
    """

    def __init__(self, path: Path, has_digest: bool, size: int | None):
        self.part = path.with_name(f"{path.name}.part")
        self.record = path.with_name(f"{path.name}.part.json")
        self.has_digest = has_digest
        self.size = size
        self.resumed = False

    def __call__(self, url: str, output_file: str, pooch: object) -> None:
        """Transfers ``url`` into ``output_file``."""
        self.resumed = False
        failures = 0
        with tqdm(
            desc=self.part.stem, unit="B", unit_scale=True, disable=None
        ) as progress:
            while True:
                before = self._offset()
                try:
                    if self._request(url, progress):
                        break
                    reason = "the connection broke off"
                except requests.RequestException as e:
                    reason = _describe(e)
                failures = 1 if self._offset() > before else failures + 1
                if failures == _ATTEMPTS:
                    raise InputError(
                        f"cannot download {url} ({reason}); check the network and the "
                        "proxy settings, and run it again to go on from here"
                    )
                time.sleep(min(2.0 ** (failures - 2), _LONGEST_PAUSE))
        os.replace(self.part, output_file)
        self._discard()

    def _request(self, url: str, progress: tqdm) -> bool:
        """Asks for what is missing; returns whether the file is complete now."""
        if not self._can_resume(url):
            self._discard()
        offset = self._offset()
        validator = self._read_record().get("validator")
        headers = {"Accept-Encoding": "identity"}
        if offset:
            self.resumed = True
            headers["Range"] = f"bytes={offset}-"
            if validator:
                headers["If-Range"] = validator
        with requests.get(
            url, headers=headers, stream=True, timeout=_TIMEOUT
        ) as answer:
            if answer.status_code == 416:  # the part is longer than the file
                self._discard()
                return False
            if answer.status_code not in _TRANSIENT and not answer.ok:
                raise InputError(
                    f"cannot download {url}: the server answers "
                    f"{answer.status_code} {answer.reason}"
                )
            answer.raise_for_status()
            if answer.status_code == 206:
                found = _CONTENT_RANGE.fullmatch(
                    answer.headers.get("Content-Range", "")
                )
                changed = offset and validator != _validator(answer)
                if not found or int(found[1]) != offset or changed:
                    self._discard()
                    raise requests.RequestException("it sends another range than asked")
                total: int | None = int(found[2])
            else:
                offset = 0
                length = answer.headers.get("Content-Length", "")
                total = int(length) if length.isdecimal() else None
            self._check_size(url, total, offset)
            record = {"url": url, "validator": _validator(answer)}
            self.record.write_text(json.dumps(record))
            progress.total = total
            progress.n = offset
            with open(self.part, "r+b" if offset else "wb") as file:
                file.seek(offset)
                for chunk in _stream(answer):
                    file.write(chunk)
                    progress.update(len(chunk))
        if total is None and self.size is not None:
            self._check_size(url, self._offset(), self._offset())
        return total is None or self._offset() == total

    def _check_size(self, url: str, total: int | None, offset: int) -> None:
        """Refuses another file than the published one, and one that does not fit."""
        if total is None:
            return
        if self.size not in (None, total):
            self._discard()
            raise InputError(
                f"{url} is not the published file: it has {total:,} bytes, not "
                f"{self.size:,}"
            )
        free = shutil.disk_usage(self.part.parent).free
        if total - offset > free:
            raise InputError(
                f"{url} needs {(total - offset) / 1e9:.2f} GB more in "
                f"{str(self.part.parent)!r}, but {free / 1e9:.2f} GB are free"
            )

    def _offset(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _can_resume(self, url: str) -> bool:
        """Whether the part is of this address and a changed file would be noticed."""
        record = self._read_record()
        noticed = self.has_digest or bool(record.get("validator"))
        return self._offset() > 0 and record.get("url") == url and noticed

    def _read_record(self) -> dict:
        try:
            record = json.loads(self.record.read_text())
        except (OSError, ValueError):
            record = None
        return record if isinstance(record, dict) else {}

    def _discard(self) -> None:
        self.part.unlink(missing_ok=True)
        self.record.unlink(missing_ok=True)


def _stream(answer: requests.Response) -> Iterator[bytes]:
    """Yields what has come, where requests would wait for whole chunks."""
    try:
        while chunk := answer.raw.read1(_CHUNK):
            yield chunk
    except urllib3.exceptions.ReadTimeoutError as e:
        raise requests.Timeout(e) from e
    except urllib3.exceptions.HTTPError as e:
        raise requests.ConnectionError(e) from e


def _validator(answer: requests.Response) -> str | None:
    """Returns what tells two versions of a file apart, for a request of its rest."""
    tag = answer.headers.get("ETag", "")
    # A weak tag does not promise the same bytes.
    return tag if tag.startswith('"') else answer.headers.get("Last-Modified")


def _describe(error: requests.RequestException) -> str:
    """Says in a few words why a request failed."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answers {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return f"no answer within {_TIMEOUT:g} seconds"
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy cannot be reached"
    if isinstance(error, requests.ConnectionError):
        return "the server cannot be reached, or the connection broke off"
    return " ".join(str(error).split())
