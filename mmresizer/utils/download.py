"""Downloads that end with the right bytes or with one clear sentence.

No library at hand does it. In place of :func:`download`, these fail most of its tests;
the ones that matter:

- pooch 1.9, with retries: begins again with the first byte after each break, in the
  same call and in the next (``test_broken_transfer_goes_on_where_it_stopped``,
  ``test_later_call_goes_on_too``, ``test_random_cuts``).
- ``torch.hub.download_url_to_file`` of torch 2.11: the same, and without a digest it
  keeps a file that is cut off (``test_random_cuts``). It transfers a file anew that is
  there (``test_whole_file_once``).
- ``torchvision.datasets.utils.download_url`` 0.26: the same, and it knows MD5 alone.
"""

import hashlib
import json
import math
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import requests
import urllib3
from filelock import FileLock
from tqdm import tqdm

from .errors import InputError
from .files import writing

# Seconds without a byte, failures in a row, and seconds before another attempt.
_TIMEOUT = 30.0
_ATTEMPTS = 5
_LONGEST_PAUSE = 30.0
_CHUNK = 1 << 18

# Answers after which another attempt may succeed.
_TRANSIENT = {408, 425, 429, 500, 502, 503, 504}

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
        path (str | os.PathLike): Where the file goes; its folder is made. A file that
            is there and has another size or digest is replaced by the right one.
        digest (str, optional): Published digest, "sha256:HEX" or "md5:HEX"; the first
            digits will do.
        size (int, optional): Published size in bytes.

    Returns:
        Path: ``path``.

    Raises:
        InputError: If the server cannot be reached, has no such file or sends another
            one, or the file cannot be written.
    """
    path = Path(path).absolute()
    with writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock")):
            if not is_published(path, digest, size):
                transfer = _Transfer(url, path, bool(digest), size)
                # An earlier call may have ended just before the file got its name.
                if digest is None or not is_published(transfer.part, digest, size):
                    transfer.run()
                if transfer.resumed and not is_published(transfer.part, digest, size):
                    # Parts of two versions of a file may have been put together.
                    transfer.discard()
                    transfer.run()
                if not is_published(transfer.part, digest, size):
                    transfer.discard()
                    raise InputError(
                        f"{url} is not the published file: its digest is not {digest}; "
                        "nothing was kept"
                    )
                transfer.part.replace(path)
                transfer.discard()
    return path


def is_published(path: Path, digest: str | None, size: int | None) -> bool:
    """Whether a file is there and is the published one, as far as that is known.

    Args:
        path (Path): The file.
        digest (str, optional): Published digest, or its first digits.
        size (int, optional): Published size in bytes.
    """
    if not path.is_file() or size not in (None, path.stat().st_size):
        return False
    if digest is None:
        return True
    algorithm, _, expected = digest.partition(":")
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, algorithm).hexdigest()
    return found.startswith(expected.lower())


class _Transfer:
    """A transfer that goes on where a broken one has stopped.

    Args:
        url (str): Address.
        path (Path): Final name of the file; the part lies beside it.
        has_digest (bool): Whether the whole will be checked by its digest.
        size (int, optional): Published size in bytes.
    """

    def __init__(self, url: str, path: Path, has_digest: bool, size: int | None):
        self.url = url
        self.part = path.with_name(f"{path.name}.part")
        self.record = path.with_name(f"{path.name}.part.json")
        self.has_digest = has_digest
        self.size = size
        self.resumed = False

    def run(self) -> None:
        """Transfers until the part is complete."""
        self.resumed = False
        failures, furthest = 0, self._offset()
        with tqdm(
            desc=self.part.stem, unit="B", unit_scale=True, disable=None
        ) as progress:
            while True:
                try:
                    if self._request(progress):
                        return
                    reason = "the connection broke off"
                except requests.exceptions.SSLError as e:
                    raise InputError(
                        f"cannot download {self.url}: the certificate of the server or "
                        "proxy is not trusted (REQUESTS_CA_BUNDLE names a file of "
                        f"trusted ones; {' '.join(str(e).split())})"
                    ) from e
                except requests.RequestException as e:
                    reason = _describe(e)
                failures = 1 if self._offset() > furthest else failures + 1
                furthest = max(furthest, self._offset())
                if failures == _ATTEMPTS:
                    raise InputError(
                        f"cannot download {self.url} ({reason}); check the network and "
                        "the proxy settings, and run it again to go on from here"
                    )
                time.sleep(min(2.0 ** (failures - 2), _LONGEST_PAUSE))

    def _request(self, progress: tqdm) -> bool:
        """Asks for what is missing; returns whether the file is complete now."""
        if not self._can_resume():
            self.discard()
        offset = self._offset()
        validator = self._read_record().get("validator")
        headers = {"Accept-Encoding": "identity"}
        if offset:
            self.resumed = True
            headers["Range"] = f"bytes={offset}-"
            if validator:
                headers["If-Range"] = validator
        with requests.get(
            self.url, headers=headers, stream=True, timeout=_TIMEOUT
        ) as answer:
            if answer.status_code == 416:  # nothing lies behind the part
                if answer.headers.get("Content-Range") == f"bytes */{offset}":
                    return True
                self.discard()
                return False
            if answer.status_code not in _TRANSIENT and not answer.ok:
                raise InputError(
                    f"cannot download {self.url}: the server answers "
                    f"{answer.status_code} {answer.reason}"
                )
            answer.raise_for_status()
            if answer.status_code == 206:
                found = _CONTENT_RANGE.fullmatch(
                    answer.headers.get("Content-Range", "")
                )
                changed = offset and _validator(answer) not in (None, validator)
                if not found or int(found[1]) != offset or changed:
                    self.discard()
                    raise requests.RequestException("it sends another range than asked")
                total: int | None = int(found[2])
            else:
                self.discard()  # of the old part nothing must stay behind the new one
                offset = 0
                length = answer.headers.get("Content-Length", "")
                total = int(length) if length.isdecimal() else self.size
            self._check_total(total, offset)
            if not offset:
                record = {"url": self.url, "validator": _validator(answer)}
                self.record.write_text(json.dumps(record))
            progress.total = total
            progress.n = offset
            with open(self.part, "ab") as file:
                for chunk in _stream(answer):
                    offset += len(chunk)
                    if offset > (total or math.inf):
                        self._refuse_longer()
                    file.write(chunk)
                    progress.update(len(chunk))
        return total in (None, self._offset())

    def _refuse_longer(self) -> None:
        """Ends a transfer that brings more than there should be."""
        self.discard()
        if self.size is None:
            raise requests.RequestException("it sends more bytes than it says")
        raise InputError(
            f"{self.url} is not the published file: it has more than {self.size:,} "
            "bytes; nothing was kept"
        )

    def _check_total(self, total: int | None, offset: int) -> None:
        """Refuses another file than the published one, and one that does not fit."""
        if total is None:
            return
        if self.size not in (None, total):
            self.discard()
            raise InputError(
                f"{self.url} is not the published file: it has {total:,} bytes, not "
                f"{self.size:,}"
            )
        free = shutil.disk_usage(self.part.parent).free
        if total - offset > free:
            raise InputError(
                f"{self.url} needs {(total - offset) / 1e6:,.1f} MB more in "
                f"{str(self.part.parent)!r}, but {free / 1e6:,.1f} MB are free"
            )

    def _offset(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _can_resume(self) -> bool:
        """Whether the part is of this address and a changed file would be noticed."""
        record = self._read_record()
        noticed = self.has_digest or bool(record.get("validator"))
        return self._offset() > 0 and record.get("url") == self.url and noticed

    def _read_record(self) -> dict:
        try:
            record = json.loads(self.record.read_text())
        except (OSError, ValueError):
            record = None
        return record if isinstance(record, dict) else {}

    def discard(self) -> None:
        """Removes the part and what is known of it."""
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
