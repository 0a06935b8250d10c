"""Small datasets, configs and checkpoints, a server, and a way to run the tools."""

# First of all: what mmresizer sets has to be there before torch is loaded.
from mmresizer.config.checks import has_mmdet  # isort: split

import hashlib
import io
import logging
import os
import socket
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import psutil
import pytest
import tool_server
import torch
from mmengine.hub import get_config
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope

from mmresizer.registry import MODELS

# They import it with the module, and have the marker `detection`.
NEED_MMDET = [
    "datasets/test_textured_shapes.py",
    "models/detectors/test_boxes_in_the_original_image.py",
    "models/detectors/test_detector_exports.py",
    "models/detectors/test_resizer_detector.py",
]
collect_ignore = [] if has_mmdet() else NEED_MMDET

ROOT = Path(__file__).parents[1]
DATA = ROOT / "data"

# Each command has a thread: two processes on two cores would otherwise fight for them.
ENVIRONMENT = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "PYTHON": sys.executable,
    "PYTHONPATH": os.pathsep.join(
        filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])
    ),
}


def with_packages(folder):
    """Returns the environment of a command that also imports from a folder."""
    return {"PYTHONPATH": f"{ENVIRONMENT['PYTHONPATH']}{os.pathsep}{folder}"}


if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)


def wait_until(condition, seconds=300, show=lambda: ""):
    """Waits for what other processes do, on a busy machine too.

    If it takes too long, what ``show`` returns is the message.
    """
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, show()
        time.sleep(0.05)


def find_ports(count):
    """Returns ports that are free, at this moment."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]


def find_processes(word):
    """Returns the command lines of the processes that have a word in theirs."""
    commands = (p.info["cmdline"] or [] for p in psutil.process_iter(["cmdline"]))
    return [command for command in commands if any(word in part for part in command)]


def kill_tree(process):
    """Kills a process and all below it at once, as when a machine is lost."""
    if process.poll() is None:
        below = psutil.Process(process.pid).children(recursive=True)
        for victim in (process, *below):
            with suppress(psutil.NoSuchProcess, ProcessLookupError):
                victim.kill()
        process.wait()


def is_writing(folder):
    """Whether a process has a file of a folder open: a log, say."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            names = [file.path for file in process.open_files()]
            if any(Path(folder) in Path(name).parents for name in names):
                return True
    return False


DEMO = "mmresizer::fine_textures/{}_resnet18-cifar-w16_1xb32_fine-textures_24px.py"


def pytest_runtest_setup(item):
    if item.get_closest_marker("detection") and not has_mmdet():
        pytest.fail("needs MMDetection (setup_env.sh --detection)", pytrace=False)


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("gpu") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
        if item.get_closest_marker("data") and not (DATA / "flowers12").is_dir():
            item.add_marker(pytest.mark.skip(reason="needs data/flowers12 (README.md)"))


@pytest.fixture(autouse=True)
def forget_scopes():
    """Drops the default scopes that configs of other libraries set for good."""
    yield
    scopes = DefaultScope._instance_dict
    others = ("mmdet", "mmseg")
    for name in [n for n, scope in scopes.items() if scope.scope_name in others]:
        del scopes[name]


@pytest.fixture(scope="session")
def run():
    """Runs a command in the repository; returns (status, output)."""

    def run(*command, env=None, cwd=ROOT, timeout=600):
        done = subprocess.run(
            [str(c) for c in command],
            cwd=cwd,
            env={**ENVIRONMENT, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )
        return done.returncode, done.stdout

    return run


@pytest.fixture(scope="session")
def run_tool(run):
    """Runs ``python tools/NAME ...``; returns (status, output)."""

    def run_tool(name, *arguments, env=None, cwd=ROOT):
        tool = ROOT / "tools" / name
        if torch.cuda.is_available():  # CUDA does not work in forks
            return run(sys.executable, tool, *arguments, env=env, cwd=cwd)
        environment = {**ENVIRONMENT, **(env or {})}
        return tool_server.run_tool(tool, *arguments, environment=environment, cwd=cwd)

    return run_tool


@pytest.fixture
def log():
    """The messages of mmengine's logger during a test, as a list of str."""
    messages = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    yield messages
    logger.removeHandler(handler)


@pytest.fixture
def demo_config(tmp_path):
    """Writes the demonstration's config, cut down to seconds; returns its path."""

    def demo_config(prefix="resizerx4", name="config.py", **changes):
        cfg = get_config(DEMO.format(prefix))
        cfg.merge_from_dict(
            {
                "train_dataloader.dataset.num_samples": 32,
                "train_dataloader.batch_size": 8,
                "train_dataloader.num_workers": 0,
                "val_dataloader.dataset.num_samples": 16,
                "val_dataloader.num_workers": 0,
                "test_dataloader.dataset.num_samples": 16,
                "test_dataloader.num_workers": 0,
                "train_cfg.max_epochs": 2,
                "randomness.seed": 0,
                **changes,
            }
        )
        cfg.dump(tmp_path / name)
        return tmp_path / name

    return demo_config


@pytest.fixture
def save_weights(tmp_path):
    """Builds the model of a config and saves its weights; returns model and path."""

    def save_weights(model_cfg, name="weights.pth"):
        torch.manual_seed(0)
        model = MODELS.build(model_cfg)
        model.init_weights()
        torch.save({"state_dict": model.state_dict(), "meta": {}}, tmp_path / name)
        return model, tmp_path / name

    return save_weights


@pytest.fixture
def image_folder(tmp_path):
    """Makes an image folder of the flowers12 layout, 2 classes; returns its root."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 4), ("val", 2)):
        for label, colour in (("daisy", 60), ("iris", 180)):
            folder = tmp_path / "images" / split / label
            folder.mkdir(parents=True)
            for i in range(count):
                image = rng.normal(colour, 25, (70, 60, 3)).clip(0, 255)
                cv2.imwrite(str(folder / f"image_{i:04d}.jpg"), image)
    return tmp_path / "images"


def pack(name, files):
    """Returns a .tgz or .zip of files, a dict of bytes by name."""
    buffer = io.BytesIO()
    if name.endswith(".zip"):
        with zipfile.ZipFile(buffer, "w") as zipped:
            for path, content in files.items():
                zipped.writestr(path, content)
    else:
        with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
            for path, content in files.items():
                member = tarfile.TarInfo(path)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A local server of files: ``folder``, ``url`` and the paths that are asked for."""
    folder = tmp_path / "server"
    folder.mkdir()
    requests = []

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self):
            requests.append(self.path)
            super().do_GET()

        def log_message(self, *_):
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder))
    threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr("mmresizer.utils.download.time.sleep", lambda _: None)
    url = f"http://127.0.0.1:{httpd.server_port}"
    yield SimpleNamespace(folder=folder, url=url, requests=requests)
    httpd.shutdown()
    httpd.server_close()


@pytest.fixture
def publish(server, monkeypatch):
    """Makes a local server the source of a dataset.

    ``publish(name, files)`` takes the content of each file to download: bytes, or, for
    an archive, a dict of bytes by name. ``publish.requests`` are the paths asked for,
    ``publish.folder`` is what the server serves.
    """
    from mmresizer.datasets.preparation import SOURCES

    def publish(name, files):
        archives = []
        for archive in SOURCES[name].archives:
            content = files[archive.name]
            if isinstance(content, dict):
                content = pack(archive.name, content)
            (server.folder / archive.name).write_bytes(content)
            archives.append(
                replace(
                    archive,
                    url=f"{server.url}/{archive.name}",
                    digest=f"sha256:{hashlib.sha256(content).hexdigest()}",
                    size=len(content),
                )
            )
        source = replace(SOURCES[name], archives=tuple(archives))
        monkeypatch.setitem(SOURCES, name, source)

    publish.requests = server.requests
    publish.folder = server.folder
    return publish
