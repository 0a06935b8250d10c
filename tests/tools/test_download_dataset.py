"""The two command lines of the preparation of datasets."""

import re
import runpy
import sys

import pytest

from mmresizer.datasets import preparation
from mmresizer.datasets.preparation import SOURCES

DOWNLOAD, CONVERT = "misc/download_dataset.py", "dataset_converters/convert_dataset.py"


@pytest.fixture
def ava(tmp_path):
    """A dataset that cannot be downloaded: a rating and its image, both at hand."""
    (tmp_path / "data/ava/images").mkdir(parents=True)
    (tmp_path / "data/ava/images/7.jpg").touch()
    (tmp_path / "data/ava/AVA.txt").write_text("1 7 0 1 5 17 38 36 15 6 5 1 1 22 1396")
    return tmp_path / "data/ava"


@pytest.mark.parametrize("tool", [DOWNLOAD, CONVERT])
def test_help_names_the_datasets(run_tool, tool):
    status, output = run_tool(tool, "--help", env={"COLUMNS": "1000"})
    assert status == 0, output
    assert f"one of {', '.join(SOURCES)}" in output


def test_success_is_one_line(run_tool, ava):
    report = "ava: 1 ratings, 1 of them with an image"
    status, output = run_tool(DOWNLOAD, "--dataset", "ava", "--dest", ava.parent)
    assert (status, output.splitlines()) == (0, [f"{report}, in {str(ava)!r}"])
    status, output = run_tool(CONVERT, "ava", ava)
    assert (status, output.splitlines()) == (0, [report])


@pytest.mark.parametrize(
    ("tool", "arguments", "sentence"),
    [
        (DOWNLOAD, ["--dataset", "cifar"], "no dataset 'cifar'; it must be one of ima"),
        (
            DOWNLOAD,
            ["--dataset", "cub", "--dest", "file"],
            "cannot read or write '.*file'",
        ),
        (DOWNLOAD, ["--dataset", "imagenet", "--dest", "."], "image-net.org after reg"),
        (CONVERT, ["cub", "data"], r"'data' must hold classes\.txt, which is missing"),
    ],
)
def test_refuses(run_tool, tmp_path, ava, tool, arguments, sentence):
    (tmp_path / "file").touch()
    status, output = run_tool(tool, *arguments, cwd=tmp_path)
    lines = output.splitlines()
    assert (status, len(lines)) == (1, 1), output
    assert re.match(f"error: .*{sentence}", lines[0]), output


def test_interruption_is_one_sentence(monkeypatch, request):
    def prepare_dataset(name, dest):
        raise KeyboardInterrupt

    monkeypatch.setattr(preparation, "prepare_dataset", prepare_dataset)
    monkeypatch.setattr(sys, "argv", [DOWNLOAD, "--dataset", "cub"])
    tool = request.config.rootpath / "tools" / DOWNLOAD
    with pytest.raises(SystemExit, match=r"^interrupted; the same command"):
        runpy.run_path(str(tool), run_name="__main__")
