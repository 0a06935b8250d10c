"""Downloads from a local server that is slow, breaks off, lies and changes its mind."""

import errno
import hashlib
import multiprocessing
import re
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import numpy as np
import pytest

from mmresizer.utils import InputError
from mmresizer.utils import download as module
from mmresizer.utils.download import download

CONTENT = np.random.default_rng(0).bytes(300_000)


def sha256(content):
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


DIGEST = sha256(CONTENT)


@pytest.fixture
def server(monkeypatch):
    """A server of one file; ``faults`` says what befalls the next answers.

    A fault is a status, or a function that changes (handler, status, headers, body).
    """
    state = SimpleNamespace(
        content=CONTENT, tag='"1"', ranges=True, faults=[], requests=[]
    )

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            fault = state.faults.pop(0) if state.faults else None
            asked = self.headers.get("Range")
            state.requests.append((self.path, asked))
            if isinstance(fault, int):
                self.send_error(fault)
                return
            status, body = 200, state.content
            headers = {"ETag": state.tag} if state.tag else {}
            fresh = self.headers.get("If-Range") in (None, state.tag)
            if asked and state.ranges and fresh:
                start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
                if start >= len(body):
                    self.send_error(416)
                    return
                total = len(body)
                status, body = 206, body[start:]
                headers["Content-Range"] = f"bytes {start}-{total - 1}/{total}"
            headers["Content-Length"] = str(len(body))
            if fault:
                status, headers, body = fault(status, headers, body)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            with suppress(ConnectionError):  # the client has left
                for chunk in [body] if isinstance(body, bytes) else body:
                    self.wfile.write(chunk)

        def log_message(self, *_):
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    state.address = f"http://127.0.0.1:{httpd.server_port}"
    state.url = f"{state.address}/file.bin"
    monkeypatch.setattr(module.time, "sleep", lambda _: None)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield state
    httpd.shutdown()
    httpd.server_close()


def cut(length):
    return lambda status, headers, body: (status, headers, body[:length])


def visible(folder):
    """Names in a folder but those of locks."""
    return sorted(p.name for p in folder.iterdir() if not p.name.endswith(".lock"))


def test_whole_file_once(server, tmp_path):
    path = download(server.url, tmp_path / "new" / "file.bin", DIGEST, len(CONTENT))
    assert path.read_bytes() == CONTENT
    assert visible(path.parent) == ["file.bin"]
    download(server.url, path, DIGEST, len(CONTENT))
    assert len(server.requests) == 1


def test_broken_transfer_goes_on_where_it_stopped(server, tmp_path):
    server.faults = [cut(100_000), 503, cut(50_000)]
    assert download(server.url, tmp_path / "f", DIGEST).read_bytes() == CONTENT
    asked = [range_ for _, range_ in server.requests]
    assert asked == [None, "bytes=100000-", "bytes=100000-", "bytes=150000-"]


def test_later_call_goes_on_too(server, tmp_path):
    server.faults = [cut(100_000)] + [500] * module._ATTEMPTS
    with pytest.raises(InputError, match="server answers 500"):
        download(server.url, tmp_path / "f", DIGEST)
    assert visible(tmp_path) == ["f.part", "f.part.json"]
    assert download(server.url, tmp_path / "f", DIGEST).read_bytes() == CONTENT
    assert server.requests[-1][1] == "bytes=100000-"
    assert visible(tmp_path) == ["f"]


def test_server_without_ranges(server, tmp_path):
    server.ranges = False
    server.faults = [cut(100_000)]
    assert download(server.url, tmp_path / "f", DIGEST).read_bytes() == CONTENT


@pytest.mark.parametrize("digest", [DIGEST, None])
def test_random_cuts(server, tmp_path, digest):
    rng = np.random.default_rng(1)
    server.faults = [cut(int(n)) for n in rng.integers(1, 5_000, 100)]
    assert download(server.url, tmp_path / "f", digest).read_bytes() == CONTENT
    assert visible(tmp_path) == ["f"]


@pytest.mark.parametrize("tag", ['"2"', None])
@pytest.mark.parametrize("known", [True, False])
def test_file_changes_between_two_ranges(server, tmp_path, tag, known):
    """The parts of two versions never make one file."""
    new = CONTENT[::-1]
    server.tag = '"1"' if tag else None

    def change(status, headers, body):
        server.content, server.tag = new, tag
        return status, headers, body[:100_000]

    server.faults = [change]
    path = download(server.url, tmp_path / "f", sha256(new) if known else None)
    assert path.read_bytes() == new


def wrong_range(status, headers, body):
    return 206, {**headers, "Content-Range": "bytes 7-9/300000"}, body


def no_range(status, headers, body):
    return 206, headers, body


@pytest.mark.parametrize("fault", [wrong_range, no_range])
def test_wrong_answers_to_a_range(server, tmp_path, fault):
    server.faults = [cut(100_000), fault]
    assert download(server.url, tmp_path / "f").read_bytes() == CONTENT


def test_part_longer_than_the_file(server, tmp_path):
    server.faults = [cut(200_000)] + [500] * module._ATTEMPTS
    with pytest.raises(InputError):
        download(server.url, tmp_path / "f")
    server.content = CONTENT[:1000]  # and the same tag
    path = download(server.url, tmp_path / "f")
    assert path.read_bytes() == CONTENT[:1000]


@pytest.mark.parametrize("ranges", [True, False])
def test_wrong_digest(server, tmp_path, ranges):
    server.ranges = ranges
    server.faults = [cut(1000)]
    with pytest.raises(InputError, match="not the published file: its digest is not"):
        download(server.url, tmp_path / "f", sha256(b"another"))
    assert visible(tmp_path) == []
    assert len(server.requests) <= 3  # the whole is not asked for endlessly


def test_wrong_size_is_refused_before_the_transfer(server, tmp_path):
    with pytest.raises(InputError, match=r"has 300,000 bytes, not 5"):
        download(server.url, tmp_path / "f", size=5)
    assert visible(tmp_path) == []


def test_file_of_a_wrong_digest_or_size_is_replaced(server, tmp_path):
    for digest, size in ((DIGEST, None), (None, len(CONTENT))):
        path = tmp_path / "f"
        path.write_bytes(b"an error page")
        assert download(server.url, path, digest, size).read_bytes() == CONTENT


@pytest.mark.parametrize("status", [404, 403])
def test_no_such_file(server, tmp_path, status):
    server.faults = [status]
    with pytest.raises(InputError, match=f"the server answers {status}"):
        download(server.url, tmp_path / "f")
    assert len(server.requests) == 1
    assert visible(tmp_path) == []


def test_slow_server(server, tmp_path, monkeypatch):
    """A server that falls silent is asked again."""
    monkeypatch.setattr(module, "_TIMEOUT", 0.2)
    silent = threading.Event()

    def stall(status, headers, body):
        silent.wait(2)
        return status, headers, body

    server.faults = [stall]
    assert download(server.url, tmp_path / "f", DIGEST).read_bytes() == CONTENT
    assert len(server.requests) == 2
    server.faults = [stall] * module._ATTEMPTS
    with pytest.raises(InputError, match=r"no answer within 0\.2 seconds"):
        download(server.url, tmp_path / "g", DIGEST)
    silent.set()


def test_offline(server, tmp_path):
    with pytest.raises(InputError, match="cannot be reached"):
        download("http://127.0.0.1:9/file.bin", tmp_path / "f")


def test_proxy(server, tmp_path, monkeypatch):
    monkeypatch.setenv("http_proxy", server.address)
    monkeypatch.delenv("no_proxy")
    download("http://data.invalid/file.bin", tmp_path / "f", DIGEST)
    assert server.requests[0][0] == "http://data.invalid/file.bin"


def test_disk_without_room(server, tmp_path, monkeypatch):
    monkeypatch.setattr(
        module.shutil, "disk_usage", lambda _: SimpleNamespace(free=100_000)
    )
    with pytest.raises(InputError, match=r"needs 0\.3 MB .*but 0\.1 MB are free"):
        download(server.url, tmp_path / "f")


def test_disk_fills_up(server, tmp_path, monkeypatch):
    """What has come stays, and the next call goes on from there."""

    def stream(answer):
        yield answer.raw.read(100_000)
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module, "_stream", stream)
        with pytest.raises(InputError, match=r"the disk of .* is full"):
            download(server.url, tmp_path / "f", DIGEST)
    assert visible(tmp_path) == ["f.part", "f.part.json"]
    assert download(server.url, tmp_path / "f", DIGEST).read_bytes() == CONTENT
    assert server.requests[-1][1] == "bytes=100000-"


def test_complete_part(server, tmp_path, monkeypatch):
    """A call that was interrupted when all was there brings nothing twice."""

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module.Path, "replace", interrupt)
        with pytest.raises(KeyboardInterrupt):
            download(server.url, tmp_path / "f", DIGEST)
    assert visible(tmp_path) == ["f.part", "f.part.json"]
    assert len(server.requests) == 1
    assert download(server.url, tmp_path / "f", DIGEST).read_bytes() == CONTENT
    assert len(server.requests) == 1
    assert visible(tmp_path) == ["f"]


def test_range_without_validator(server, tmp_path):
    """The answer to If-Range need not repeat it."""

    def strip(status, headers, body):
        del headers["ETag"]
        return status, headers, body

    server.faults = [cut(100_000), strip]
    assert download(server.url, tmp_path / "f").read_bytes() == CONTENT
    assert [range_ for _, range_ in server.requests] == [None, "bytes=100000-"]


def test_unknown_length(server, tmp_path):
    """The published size tells that a transfer without a length is not complete."""

    def strip(status, headers, body):
        del headers["Content-Length"]
        return status, headers, body[:100_000]

    server.faults = [strip]
    path = download(server.url, tmp_path / "f", size=len(CONTENT))
    assert path.read_bytes() == CONTENT
    assert server.requests[-1][1] == "bytes=100000-"


def test_endless_answer(server, tmp_path):
    """A server that sends on and on is left when the published size is exceeded."""
    sent = []

    def chunks():
        for _ in range(1000):
            sent.append(CONTENT)
            yield CONTENT

    def endless(status, headers, body):
        del headers["Content-Length"]
        return status, headers, chunks()

    server.faults = [endless]
    with pytest.raises(InputError, match=r"it has more than 300,000 bytes; nothing"):
        download(server.url, tmp_path / "f", DIGEST, size=len(CONTENT))
    assert len(sent) < 1000
    assert visible(tmp_path) == []


def test_untrusted_certificate(server, tmp_path, monkeypatch):
    def get(*_, **__):
        raise module.requests.exceptions.SSLError("self-signed certificate")

    monkeypatch.setattr(module.requests, "get", get)
    with pytest.raises(InputError, match=r"not trusted .*REQUESTS_CA_BUNDLE.*self-sig"):
        download(server.url, tmp_path / "f")


def test_other_file_stays_until_the_right_one_is_there(tmp_path, monkeypatch):
    monkeypatch.setattr(module.time, "sleep", lambda _: None)
    (tmp_path / "f").write_bytes(b"half of it")
    with pytest.raises(InputError, match="cannot be reached"):
        download("http://127.0.0.1:9/file.bin", tmp_path / "f", DIGEST, len(CONTENT))
    assert (tmp_path / "f").read_bytes() == b"half of it"


def test_unwritable_folder(server, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot write to .*file"):
        download(server.url, tmp_path / "file" / "f")


def fetch(url, path):
    return download(url, path, DIGEST).read_bytes() == CONTENT


def test_processes_share_a_transfer(server, tmp_path):
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        jobs = [pool.apply_async(fetch, (server.url, tmp_path / "f")) for _ in range(3)]
        assert all(job.get(120) for job in jobs)
    assert len(server.requests) == 1
