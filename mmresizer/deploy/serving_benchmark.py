"""How fast a device resizes, and how many requests a server answers."""

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlencode, urlsplit

import numpy as np
import requests
from PIL import Image

from mmresizer.registry import MODELS
from mmresizer.utils import InputError
from mmresizer.utils.machine import describe_machine
from mmresizer.utils.tables import write_csv
from mmresizer_client import Client, ExportedModel

from .export import export_model

_PHOTO = (2000, 1500)
_REPEATS = 9
_START_SECONDS = 60


def benchmark_serving(
    folder: str | Path,
    photos: Sequence[str | Path],
    clients: Sequence[int],
    seconds: float,
    codec: str,
    out_dir: Path,
) -> list[dict[str, Any]]:
    """Measures a server on this machine with clients that ask one after the other.

    The same photographs are sent as they are, and as small images, which were resized
    before. Clients and server share the cores.

    Args:
        folder (str | Path): See :class:`mmresizer.deploy.serving.Split`.
        photos (Sequence[str | Path]): Photographs.
        clients (Sequence[int]): Numbers of clients at a time.
        seconds (float): For each row.
        codec (str): How small images are written.
        out_dir (Path): Folder for ``serving.csv``.

    Returns:
        list[dict[str, Any]]: A row for what is sent and each number of clients:
        requests per second, and the median and the 99th percentile of their latency.

    Raises:
        InputError: If the model cannot be served, or an answer is an error.
    """
    rows = []
    with _serving(folder) as url:
        client = Client(url, codec)
        split_id = client.resizer.split_id
        query = urlencode({"split_id": split_id, "codec": codec})
        loads = {
            "small image": (f"/classify?{query}", [client.encode(p) for p in photos]),
            "photograph": ("/classify_photo", [Path(p).read_bytes() for p in photos]),
        }
        for sent, (path, bodies) in loads.items():
            for number in clients:
                latencies, took = _load(url, path, bodies, number, seconds)
                p50, p99 = np.percentile(latencies, [50, 99]) * 1000
                rows.append(
                    {
                        "sent": sent,
                        "bytes": round(sum(map(len, bodies)) / len(bodies)),
                        "clients": number,
                        "requests": len(latencies),
                        "requests_per_s": round(len(latencies) / took, 1),
                        "p50_ms": round(float(p50), 1),
                        "p99_ms": round(float(p99), 1),
                        **_origin(),
                    }
                )
    write_csv(out_dir / "serving.csv", rows)
    return rows


def benchmark_device(sizes: Sequence[int], out_dir: Path) -> list[dict[str, Any]]:
    """Measures how long a device takes to resize a photograph of 2000x1500 pixels.

    The resizer is the paper's, with weights as they start, exported to ONNX. Beside it
    stands the bicubic interpolation of Pillow, which is antialiased.

    Args:
        sizes (Sequence[int]): Of the small image.
        out_dir (Path): Folder for ``device.csv``.
    """
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 256, (_PHOTO[1], _PHOTO[0], 3), np.uint8)
    pillow = Image.fromarray(photo)
    bicubic = Image.Resampling.BICUBIC
    rows = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            file = export_model(_make_model(size), folder, "resizer", uint8=True)
            resizer = ExportedModel(file, "resizer")
        learned_ms = _time(partial(resizer.resize, photo))
        bicubic_ms = _time(partial(pillow.resize, (size, size), bicubic))
        rows.append(
            {
                "photo": f"{_PHOTO[0]}x{_PHOTO[1]}",
                "size": size,
                "learned_ms": round(learned_ms, 1),
                "pillow_bicubic_ms": round(bicubic_ms, 1),
                "ratio": round(learned_ms / bicubic_ms, 1),
                **_origin(),
            }
        )
    write_csv(out_dir / "device.csv", rows)
    return rows


def _make_model(size: int) -> Any:
    resizer = dict(
        type="mmresizer.LearnedResizer", output_size=size, output_range=(-4, 4)
    )
    return MODELS.build(
        dict(
            type="mmresizer.ResizerClassifier",
            resizer=resizer,
            backbone=dict(type="ResNet", depth=18),
            head=dict(type="LinearClsHead", num_classes=2, in_channels=512),
            data_preprocessor=dict(mean=[127.5] * 3, std=[127.5] * 3, to_rgb=True),
        )
    ).eval()


def _time(run: Callable[[], Any]) -> float:
    """Returns the median of the milliseconds that a function takes."""
    run()
    times = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return median(times) * 1000


@contextmanager
def _serving(folder: str | Path) -> Iterator[str]:
    """Serves a folder in a process of its own, and yields the address."""
    port = _find_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mmresizer", "serve", str(folder)]
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(
            [*command, "--port", str(port)], stdout=log, stderr=subprocess.STDOUT
        )
        try:
            _wait(url, server, log)
            yield url
        finally:
            server.terminate()
            server.wait()


def _find_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait(url: str, server: subprocess.Popen, log: Any) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end and server.poll() is None:
        try:
            requests.get(f"{url}/health", timeout=5)
        except requests.RequestException:
            time.sleep(0.2)
        else:
            return
    log.seek(0)
    last = log.read().decode(errors="replace").strip().splitlines()[-1:]
    raise InputError(f"the server did not start: {' '.join(last)}")


def _load(
    url: str, path: str, bodies: Sequence[bytes], number: int, seconds: float
) -> tuple[list[float], float]:
    """Returns the latencies of all requests, in seconds, and how long they took."""
    start = time.perf_counter()

    def ask(first: int) -> list[float]:
        connection = HTTPConnection(urlsplit(url).netloc, timeout=60)
        latencies: list[float] = []
        while time.perf_counter() - start < seconds:
            body = bodies[(first + len(latencies)) % len(bodies)]
            begin = time.perf_counter()
            connection.request("POST", path, body)
            answer = connection.getresponse()
            content = answer.read()
            latencies.append(time.perf_counter() - begin)
            if answer.status != 200:
                raise InputError(
                    f"{path.partition('?')[0]} answers {answer.status}: "
                    f"{content[:200].decode(errors='replace')}"
                )
        return latencies

    with ThreadPoolExecutor(number) as pool:
        found = [*pool.map(ask, range(number))]
    return [value for values in found for value in values], time.perf_counter() - start


def _origin() -> dict[str, str]:
    return {"machine": describe_machine("cpu"), "date": date.today().isoformat()}
