"""No module imports upwards."""

import ast
from pathlib import Path

import pytest

from conftest import ROOT

PACKAGE = ROOT / "mmresizer"
# Lowest first. Those of one layer do not import each other.
LAYERS = (
    {"utils", "version"},
    {"registry"},
    {"models"},
    {"datasets", "evaluation", "visualization"},
    {"engine"},
    {"config"},
    {"analysis"},
    {"hub"},
    {"deploy"},
    {"apis", "converters"},
    {"comparison"},
    {"__main__"},
)
RANKS = {part: rank for rank, parts in enumerate(LAYERS) for part in parts}
OUTSIDE = {"tools", "configs", "comparisons", "tests"}


def find_imports(source, path):
    """Yields the dotted names that a file imports, in functions too.

    Args:
        source (str): Its text.
        path (Path): Seen from the root of the repository.
    """
    folder = list(path.parent.parts)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = folder[: len(folder) + 1 - node.level] if node.level else []
            base += [node.module] if node.module else []
            yield from (".".join([*base, alias.name]) for alias in node.names)


def find_faults(source, path):
    """Returns the imports that a file of the package must not have."""
    part = path.with_suffix("").parts[1]
    faults = []
    for name in find_imports(source, path):
        top, *below = name.split(".")
        if top == "mmresizer":
            target = below[0] if below else "__init__"
            upwards = RANKS.get(target, len(LAYERS)) >= RANKS[part]
            if upwards and target != part:
                faults.append(name)
        elif top in OUTSIDE:
            faults.append(name)
    return faults


@pytest.mark.parametrize(
    ("source", "file", "faults"),
    [
        ("from mmresizer.hub import find_model", "apis/a.py", []),
        ("from mmresizer.apis import a", "hub/a.py", ["mmresizer.apis.a"]),
        ("def f():\n  import mmresizer.hub", "utils/a.py", ["mmresizer.hub"]),
        ("from ..config import a", "models/a.py", ["mmresizer.config.a"]),
        ("from ...config import a", "models/b/a.py", ["mmresizer.config.a"]),
        ("from . import a\nfrom .b import c\nfrom .. import utils", "hub/a.py", []),
        ("from mmresizer import hub", "config/a.py", ["mmresizer.hub"]),
        ("import mmresizer", "config/a.py", ["mmresizer"]),
        ("from mmresizer.datasets import a", "evaluation/a.py", [
            "mmresizer.datasets.a"
        ]),
        ("from tools.train import main", "apis/a.py", ["tools.train.main"]),
        ("import configs, torch", "apis/a.py", ["configs"]),
    ],
)  # fmt: skip
def test_finds_faults(source, file, faults):
    assert find_faults(source, Path("mmresizer", file)) == faults


def test_no_import_goes_upwards():
    """But that of ``mmresizer/__init__.py``, which registers configs and models."""
    faults = {}
    for file in PACKAGE.rglob("*.py"):
        path = file.relative_to(ROOT)
        if path.parts[1] in ("__init__.py", ".mim"):
            continue
        if found := find_faults(file.read_text(), path):
            faults[str(path)] = found
    assert not faults


def test_all_parts_have_a_layer():
    parts = {
        path.stem
        for path in PACKAGE.iterdir()
        if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    assert parts == {"__init__", *RANKS}
