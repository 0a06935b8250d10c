"""OpenMP's threads wait without spinning, unless the user wants them to spin."""

import ast
import os
import re
import subprocess
import sys

import pytest

from conftest import ROOT


@pytest.mark.parametrize(("policy", "spins"), [(None, False), ("active", True)])
def test_what_the_library_reads(policy, spins):
    """In a fresh process, of a tool that imports torch itself, by libgomp's words."""
    env = {**os.environ, "OMP_DISPLAY_ENV": "verbose"}
    env.pop("OMP_WAIT_POLICY", None)
    env.pop("GOMP_SPINCOUNT", None)
    if policy:
        env["OMP_WAIT_POLICY"] = policy
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "test.py", "--help"],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    counts = re.findall(r"GOMP_SPINCOUNT = '(\d+)'", done.stderr)
    assert counts, "torch came without libgomp"
    assert {int(count) > 0 for count in counts} == {spins}


def first_package(path):
    """The first import of a file that is not of the standard library."""
    for node in ast.parse(path.read_text()).body:
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module]
        for name in names:
            if name.partition(".")[0] not in sys.stdlib_module_names:
                return name.partition(".")[0]
    return None


TOOLS = sorted((ROOT / "tools").rglob("*.py"))


def test_finds_the_tools():
    assert len(TOOLS) > 15


@pytest.mark.parametrize(
    "path", [*TOOLS, ROOT / "tests" / "conftest.py"], ids=lambda p: p.stem
)
def test_mmresizer_is_imported_before_torch(path):
    assert first_package(path) == "mmresizer"
