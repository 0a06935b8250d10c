"""What is imported is declared: nothing comes by way of another package's needs."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest

from conftest import ROOT

REQUIREMENTS = ROOT / "requirements"
# Import name -> distribution, where they differ.
DISTRIBUTIONS = {
    "async_batcher": "async-batcher",
    "PIL": "pillow",
    "cv2": "opencv-python",
    "mmcv": "onedl-mmcv",
    "mmdet": "onedl-mmdetection",
    "mmengine": "onedl-mmengine",
    "mmpretrain": "onedl-mmpretrain",
    "mmseg": "onedl-mmsegmentation",
    "prometheus_client": "prometheus-client",
    "prometheus_fastapi_instrumentator": "prometheus-fastapi-instrumentator",
    "yaml": "pyyaml",
}


def read_requirements(name):
    lines = (REQUIREMENTS / f"{name}.txt").read_text().splitlines()
    names = (re.match(r"[\w.-]+", line) for line in lines)
    return {found[0].lower() for found in names if found}


def list_imports(code):
    """Yields (distribution, whether it is imported with the module) of other code."""
    tree = ast.parse(code)
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module]
        else:
            continue
        for name in {name.partition(".")[0] for name in names}:
            if name not in sys.stdlib_module_names:
                yield DISTRIBUTIONS.get(name, name.lower()), id(node) not in inside


def collect(*patterns):
    """Returns the distributions imported, those with a module and those later."""
    found = {True: {}, False: {}}
    for pattern in patterns:
        for path in ROOT.glob(pattern):
            if ".mim" not in path.parts:  # links to folders of the repository
                for name, at_once in list_imports(path.read_text()):
                    found[at_once].setdefault(name, path.relative_to(ROOT))
    return found


CORE = read_requirements("runtime") | read_requirements("onedl")
EXTRAS = CORE.union(
    *(
        read_requirements(extra)
        for extra in (
            "detection",
            "onnx",
            "openvino",
            "optional",
            "segmentation",
            "serve",
        )
    )
)
# Of other environments.
UNLOCKED = {"docs", "lock", "openmmlab"}
# Of modules that are imported only where MMDetection or MMSegmentation is.
ON_REQUEST = {"onedl-mmdetection", "onedl-mmsegmentation", "pycocotools"}
SERVER = Path("mmresizer/deploy/serving.py")


def test_finds_imports():
    code = "import os\nimport a.b\nfrom . import c\ndef f():\n    from PIL import d\n"
    assert set(list_imports(code)) == {("a", True), ("pillow", False)}
    assert len(collect("mmresizer/**/*.py")[True]) > 10


def test_the_package_and_tools():
    found = collect("mmresizer/**/*.py", "tools/**/*.py", "projects/**/*.py")
    ours = {"mmresizer", "mmresizer_client", "projects"}
    missing = {n: f for n, f in found[True].items() if n not in CORE | ON_REQUEST}
    # Nothing but `serve` imports this module.
    missing = {n: f for n, f in missing.items() if f != SERVER}
    assert missing.keys() <= ours, missing
    missing = {n: f for n, f in found[False].items() if n not in EXTRAS}
    assert missing.keys() <= ours, missing


def test_the_tests():
    found = collect("tests/**/*.py")
    declared = EXTRAS | read_requirements("tests")
    ours = {path.stem.lower() for path in ROOT.glob("tests/**/*.py")}
    for names in found.values():
        missing = {n: f for n, f in names.items() if n not in declared | ours}
        assert missing.keys() <= {"mmresizer", "mmresizer_client", "projects"}, missing


def test_the_client():
    project = tomllib.loads((ROOT / "mmresizer_client/pyproject.toml").read_text())
    declared = {name.lower() for name in project["project"]["dependencies"]}
    found = collect("mmresizer_client/*.py")
    imported = found[True].keys() | found[False].keys()
    # The same module, without windows.
    imported = {name.replace("-python", "-python-headless") for name in imported}
    assert imported == declared


@pytest.mark.parametrize(
    "name",
    [path.stem for path in REQUIREMENTS.glob("*.txt") if path.stem not in UNLOCKED],
)
def test_the_lock_has_all(name):
    """What has to be installed for the tests has a tested version."""
    assert read_requirements(name) <= read_requirements("lock")
