"""The client as its users install it: no torch, no OpenMMLab."""

import json
import shutil
import subprocess
import sys
import zipfile

import pytest

import mmresizer
import mmresizer_client
from conftest import ROOT

HEAVY = ("torch", "mmcv", "mmengine", "mmpretrain", "mmresizer", "torchvision")


def test_imports_nothing_heavy():
    code = (
        "import sys, json\n"
        "import mmresizer_client.__main__, onnxruntime, requests\n"
        f"print(json.dumps([m for m in {HEAVY} if m in sys.modules]))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_versions_agree():
    assert mmresizer_client.__version__ == mmresizer.__version__


def test_the_wheel(tmp_path):
    source = tmp_path / "source"  # setuptools leaves files there
    shutil.copytree(ROOT / "mmresizer_client", source)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps"]
    command += ["--no-build-isolation", "--wheel-dir", tmp_path, source]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    modules = {f"mmresizer_client/{p.name}" for p in ROOT.glob("mmresizer_client/*.py")}
    assert {name for name in names if name.endswith(".py")} == modules
    (metadata,) = [name for name in names if name.endswith("METADATA")]
    text = zipfile.ZipFile(wheel).read(metadata).decode()
    needed = [line for line in text.splitlines() if line.startswith("Requires-Dist")]
    assert needed
    assert not [line for line in needed if "torch" in line or "mm" in line]


def test_command_says_what_is_wrong(tmp_path):
    command = [sys.executable, "-m", "mmresizer_client", "http://127.0.0.1:9", "a.jpg"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: the server 'http://127.0.0.1:9' does not")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("url", ["127.0.0.1:80", "ftp://a", ""])
def test_addresses_are_checked(url):
    with pytest.raises(mmresizer_client.InputError, match="must begin with http"):
        mmresizer_client.Client(url)


@pytest.mark.parametrize("codec", ["png+", "gif", "jpeg-0"])
def test_codecs_are_checked_first(codec):
    with pytest.raises(mmresizer_client.InputError, match="a codec must be"):
        mmresizer_client.Client("http://127.0.0.1:9", codec)
