"""A server and its clients: the same classes, and answers to all that is wrong."""

import io
import json
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.client import HTTPConnection

import numpy as np
import psutil
import pytest
import requests
import torch
from PIL import Image
from small_classifiers import build_classifier

from conftest import ENVIRONMENT, find_ports
from mmresizer.__main__ import main
from mmresizer.deploy import export_model
from mmresizer.deploy.serving import Split, create_app, export_split
from mmresizer.models.utils import normalize_images
from mmresizer.utils import InputError
from mmresizer.utils.limits import Limits
from mmresizer_client import Client

SECONDS = 2


@pytest.fixture(scope="module")
def model():
    return build_classifier(output_size=16, output_range=(-3, 3))


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    out = tmp_path_factory.mktemp("exported")
    for part in ("resizer", "backbone"):
        export_model(model, out, part, uint8=part == "resizer")
    return out


@contextmanager
def serving(folder, *arguments, cwd, status=0):
    (port,) = find_ports(1)
    command = [sys.executable, "-m", "mmresizer", "serve", str(folder)]
    command += ["--port", str(port), *map(str, arguments)]
    log = cwd / f"{port}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, cwd=cwd, env=ENVIRONMENT, stdout=file, stderr=file
        )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(url, log)
        yield url, process, log
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == status, log.read_text()
    assert "Traceback" not in log.read_text()


def wait_for(url, log):
    for _ in range(300):
        try:
            return requests.get(f"{url}/health", timeout=5).raise_for_status()
        except requests.RequestException:
            time.sleep(0.2)
    raise AssertionError(log.read_text())


@pytest.fixture(scope="module")
def server(folder, tmp_path_factory):
    cwd = tmp_path_factory.mktemp("server")
    sample = cwd / "sample.png"
    sample.write_bytes(write_photo(0))
    limits = ["--max-seconds", SECONDS, "--max-photo-bytes", 100_000]
    limits += ["--max-photo-pixels", 1_000_000, "--samples", sample]
    with serving(folder, *limits, cwd=cwd) as (url, _, _):
        yield url


@pytest.fixture(scope="module")
def client(server):
    return Client(server)


def write_photo(seed, format="PNG"):
    rng = np.random.default_rng(seed)
    height, width = rng.integers(20, 90, 2)
    file = io.BytesIO()
    pixels = rng.integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(file, format)
    return file.getvalue()


@torch.no_grad()
def classify(model, photo):
    """Returns the probabilities of PyTorch's model, and its levels."""
    rgb = np.array(Image.open(io.BytesIO(photo)))
    images = torch.from_numpy(rgb).permute(2, 0, 1)[None]
    images = normalize_images(model, images.flip(1))
    levels = model.resizer.eight_bit.encode(model.resizer(images))
    return model(images).softmax(1)[0].numpy(), levels[0].permute(1, 2, 0).numpy()


def test_split_is_unsplit(model, client):
    """Each class and score is that of the whole 8-bit model in PyTorch."""
    for seed in range(20):
        photo = write_photo(seed, "JPEG" if seed % 2 else "PNG")
        scores, levels = classify(model, photo)
        ours = client.resize(photo)
        differing = np.abs(ours.astype(int) - levels)
        assert differing.max() <= 1
        tolerance = 1e-4 if not differing.any() else 1e-2
        for answer in (client.classify(photo, top=3), client.send_photo(photo, top=3)):
            assert [p.index for p in answer] == [*np.argsort(-scores)]
            assert [p.score for p in answer] == pytest.approx(
                sorted(scores, reverse=True), abs=tolerance
            )


@pytest.mark.parametrize("codec", ["raw", "png", "webp", "png+planes", "webp+planes"])
def test_codecs_without_loss_agree(codec, server, client):
    photo = write_photo(1)
    assert Client(server, codec).classify(photo) == client.classify(photo)


def test_many_at_once(client, server):
    """Images that wait together get the answers that each gets alone."""
    photos = [write_photo(seed) for seed in range(12)]
    alone = [client.classify(photo) for photo in photos]
    with ThreadPoolExecutor(24) as pool:
        clients = [Client(server) for _ in range(24)]
        asked = [(c, n % 12) for n, c in enumerate(clients * 10)]
        answers = [*pool.map(lambda job: job[0].classify(photos[job[1]]), asked)]
    for (_, n), answer in zip(asked, answers, strict=True):
        assert [p.index for p in answer] == [p.index for p in alone[n]]
        assert [p.score for p in answer] == pytest.approx([p.score for p in alone[n]])
    metrics = requests.get(f"{server}/metrics", timeout=5).text
    sizes = re.findall(r'batch_size_bucket\{le="(\S+)"\} (\S+)', metrics)
    counts = {float(size): float(count) for size, count in sizes}
    assert counts[1.0] < counts[np.inf]
    assert "http_requests_total" in metrics


def test_what_is_no_server_and_no_image(client, server):
    with pytest.raises(InputError, match="is no server of mmresizer"):
        Client(f"{server}/index.html?")  # answers all paths with a page
    for image, sentence in (
        (3, "a path, or bytes, but got a int"),
        ("x", "cannot read"),
    ):
        with pytest.raises(InputError, match=sentence):
            client.classify(image)


def make_bomb():
    file = io.BytesIO()
    Image.new("1", (20000, 8000)).save(file, "PNG")
    return file.getvalue()


GIF = write_photo(0, "GIF")
FAULTS = [
    ("/classify?codec=raw", b"", 400, "split_id"),
    ("/classify?split_id=x&codec=raw", b"", 409, "must come from the resizer"),
    ("/classify?{id}&codec=gif", b"", 400, "a codec must be"),
    ("/classify?{id}&codec=raw", b"a" * 5, 400, "must have 256 or 768 bytes"),
    ("/classify?{id}&codec=raw", b"a" * 20_000, 413, "4864 bytes"),
    ("/classify?{id}&codec=png", b"a" * 90, 400, "no png image"),
    ("/classify?{id}&codec=png", write_photo(0)[:600], 400, "16x16"),
    ("/classify?{id}&codec=raw&top=0", b"", 400, "top"),
    ("/classify?{id}&codec=raw&top=x", b"", 400, "top"),
    ("/classify?{id}&codec=raw&tpo=3", b"", 400, "tpo"),
    ("/classify?{id}", b"", 400, "codec"),
    ("/classify_photo?codec=raw", b"", 400, "codec"),
    ("/classify_photo", b"", 400, "no image file of JPEG, PNG, WEBP"),
    ("/classify_photo", write_photo(3)[:-400], 400, "truncated|complete"),
    ("/classify_photo", make_bomb(), 400, "1000000 pixels"),
    ("/classify_photo", b"a" * 100_001, 413, "100000 bytes"),
    ("/classify_photo", GIF, 400, "no image file of JPEG, PNG, WEBP"),
    ("/nothing", b"", 405, "Method"),
]


@pytest.mark.parametrize(
    ("path", "body", "status", "sentence"),
    FAULTS,
    ids=[f"{path}-{len(body)}" for path, body, _, _ in FAULTS],
)
def test_faults(path, body, status, sentence, server, client):
    path = path.replace("{id}", f"split_id={client.resizer.split_id}")
    answer = requests.post(server + path, data=body, timeout=10)
    assert answer.status_code == status
    assert [*answer.json()] == ["error"]
    assert re.search(sentence, answer.json()["error"]), answer.json()
    assert len(client.classify(write_photo(0))) == 3


def test_other_paths(server):
    assert requests.get(f"{server}/samples/0", timeout=5).content == write_photo(0)
    assert requests.get(f"{server}/samples/1", timeout=5).status_code == 404
    assert requests.get(f"{server}/../serving.py", timeout=5).status_code == 404
    page = requests.get(server, timeout=5)
    assert "</html>" in page.text
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]


def read_all(connection):
    """Returns what comes until the server closes the connection."""
    return b"".join(iter(lambda: connection.recv(1000), b""))


def ask_slowly(server, text):
    connection = socket.create_connection(server.removeprefix("http://").split(":"))
    connection.sendall(text)
    connection.settimeout(SECONDS * 5)
    return connection


PHOTO_HEAD = (
    b"POST /classify_photo HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\nab"
)


def test_slow_and_broken_requests(server, client):
    with closing(ask_slowly(server, PHOTO_HEAD)) as connection:
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 408")
    assert f"must arrive in {SECONDS} seconds".encode() in answer
    with closing(ask_slowly(server, b"GET /health HTTP/1.1\r\nHos")) as connection:
        assert connection.recv(1000) == b""  # closed
    ask_slowly(server, PHOTO_HEAD).close()
    with closing(ask_slowly(server, b"\0\1 nothing\r\n\r\n")) as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 400")
    huge = PHOTO_HEAD.replace(b"900", b"9" * 30)
    with closing(ask_slowly(server, huge)) as connection:
        assert connection.recv(1000)[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 413")
    assert len(client.classify(write_photo(0))) == 3


def test_a_thousand_slow_connections(server, client):
    photo = write_photo(0)
    texts = [PHOTO_HEAD, b"GET /health HTTP/1.1\r\nHos", b"", b"PUT / HTTP/1.1\r\n"]
    slow = [ask_slowly(server, texts[n % 4]) for n in range(1000)]
    try:
        for _ in range(10):
            assert len(client.classify(photo)) == 3
        answers = [connection.recv(1000)[:12] for connection in slow[::4]]
    finally:
        for connection in slow:
            connection.close()
    assert set(answers) == {b"HTTP/1.1 408"}
    assert len(client.classify(photo)) == 3


def test_too_many_waiting(folder, tmp_path):
    """What does not fit is refused at once, and the rest is answered."""
    body = np.zeros((16, 16, 3), np.uint8).tobytes()
    with serving(folder, "--max-waiting", 1, "--max-batch-size", 2, cwd=tmp_path) as (
        url,
        _,
        _,
    ):
        split_id = requests.get(f"{url}/model", timeout=5).json()["split_id"]

        def ask(_):
            connection = HTTPConnection(url.removeprefix("http://"), timeout=20)
            connection.request("POST", f"/classify?split_id={split_id}&codec=raw", body)
            answer = connection.getresponse()
            return answer.status, answer.headers["Retry-After"], answer.read()

        with ThreadPoolExecutor(32) as pool:
            answers = [*pool.map(ask, range(600))]
    statuses = {status for status, _, _ in answers}
    assert 200 in statuses
    assert statuses <= {200, 503}
    for status, retry, content in answers:
        if status == 503:
            assert retry == "1"
            assert "try again" in json.loads(content)["error"]


def test_restart_in_the_middle(folder, tmp_path):
    """A worker that dies is replaced; a client hears of it in a sentence."""
    photo = write_photo(0)
    with serving(folder, cwd=tmp_path) as (url, process, log):
        client = Client(url)
        expected = client.classify(photo)
        (worker,) = psutil.Process(process.pid).children()
        worker.kill()
        answers = []
        while expected not in answers and len(answers) < 200:
            try:
                answers.append(client.classify(photo))
            except InputError as e:
                answers.append(str(e))
                time.sleep(0.1)
        assert answers.pop() == expected, log.read_text()
        assert all("does not answer" in sentence for sentence in answers)
        assert [c.pid for c in psutil.Process(process.pid).children()] != [worker.pid]


def test_an_address_that_is_taken(server, folder, tmp_path):
    port = server.rpartition(":")[2]
    command = [sys.executable, "-m", "mmresizer", "serve", folder, "--port", port]
    done = subprocess.run(
        command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--port", "99999"], "port must be from 1 to 65535, but got 99999"),
        (["weights.pth"], "have their weights, but got the checkpoint 'weights.pth'"),
        (["--samples", "a.txt"], "cannot read the size of the image 'a.txt'"),
        (["--samples", "absent.png"], "cannot read the size of the image 'absent.png'"),
        (["--max-batch-size", "1"], "batch_size must be an int of 2 or more, got 1"),
    ],
)
def test_arguments(arguments, sentence, folder, monkeypatch, tmp_path):
    (tmp_path / "a.txt").write_text("no picture")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["mmresizer", "serve", str(folder), *arguments])
    with pytest.raises(InputError, match=sentence):
        main()


def test_no_process_stays_behind(folder, tmp_path):
    with serving(folder, cwd=tmp_path, status=-signal.SIGKILL) as (_, process, _):
        (worker,) = psutil.Process(process.pid).children()
        process.kill()
    _, alive = psutil.wait_procs([worker], timeout=20)
    assert not alive


class TestWhatIsServed:
    def test_parts_of_different_models(self, model, folder, tmp_path):
        other = build_classifier(output_size=16, output_range=(-3, 2))
        export_model(model, tmp_path, "resizer", uint8=True)
        export_model(other, tmp_path, "backbone")
        with pytest.raises(InputError, match="different models, or of different set"):
            Split(tmp_path)

    def test_parts_that_do_not_split(self, tmp_path):
        model = build_classifier(output_size=16)
        export_model(model, tmp_path, "resizer", uint8=True)
        with pytest.raises(InputError, match="one file of the backbone"):
            Split(tmp_path)
        export_model(model, tmp_path, "backbone")
        with pytest.raises(InputError, match="output of the exported resizer must be"):
            create_app(tmp_path, Limits())

    def test_a_file_that_is_damaged(self, folder, tmp_path):
        for file in folder.glob("*.onnx"):
            (tmp_path / file.name).write_bytes(file.read_bytes()[:-1000])
        with pytest.raises(InputError, match="is no ONNX file of"):
            Split(tmp_path)

    def test_a_resizer_without_a_range(self, tmp_path):
        name = "resizerx4_resnet18-cifar-w16_1xb32_fine-textures_24px"
        with pytest.raises(InputError, match="has no output_range"):
            export_split(name, tmp_path)

    def test_interpolation_has_the_range_of_pixels(self, tmp_path):
        name = "bilinearx4_resnet18-cifar-w16_1xb32_fine-textures_24px"
        export_split(name, tmp_path)
        split = Split(tmp_path)
        pixels = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
        levels = split.resizer.resize(pixels)
        small = torch.nn.functional.interpolate(
            torch.from_numpy(pixels).permute(2, 0, 1)[None].float(),
            (24, 24),
            mode="bilinear",
        )[0]
        expected = small.permute(1, 2, 0).numpy()
        # Model's channels: its preprocessor may have turned RGB into BGR.
        order = split.resizer.card["normalization"]["order"]
        expected = expected if order == "RGB" else expected[..., ::-1]
        assert np.abs(levels - expected).max() <= 0.51
