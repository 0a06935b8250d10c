"""README files and the pages under docs/: their code, commands and links."""

import contextlib
import io
import re
import runpy
import shlex
import sys
from functools import cache

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpretrain import get_model

from conftest import ROOT
from mmresizer.comparison.spec import load_spec
from mmresizer.deploy import export_model
from mmresizer.hub.loading import load_named_model
from mmresizer.models.resizers import EightBit
from mmresizer.models.utils import get_resizer
from mmresizer.registry import HOOKS, MODELS

WRITTEN = {ROOT / "docs" / name for name in ("_build", "api", "repository")}
PAGES = [
    page
    for pattern in ("*.md", "docs/**/*.md", "[ck]o*/**/*.md", "checkpoints/*.md")
    for page in sorted(ROOT.glob(pattern))
    if not WRITTEN & set(page.parents)
]
# What a block with this text needs.
NEEDS = {
    "Timm": "timm",
    "HuggingFace": "transformers",
}
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]


def list_blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.M | re.S)


PYTHON = [
    pytest.param(
        page,
        block,
        id=f"{name}:{number}",
        marks=[pytest.mark.detection] * ("mmdet" in block),
    )
    for page, name in zip(PAGES, NAMES, strict=True)
    for number, block in enumerate(list_blocks(page, "python"), 1)
]


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """The working directory of a reader, with the images that the pages name."""
    (tmp_path / "photos").mkdir()
    image = np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8)
    names = (
        "flower.jpg",
        "photo.jpg",
        "bird.jpg",
        "dog.jpg",
        "texture.png",
        "shapes.png",
    )
    for name in (*names, "photos/a.jpg"):
        cv2.imwrite(str(tmp_path / name), image)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def export_parts(folder):
    """Exports what the guide to deployment does, of a model of the zoo."""
    name = "resizerx4_mobilenet-v2_1xb32_flowers12_56px"
    model = load_named_model(name)
    get_resizer(model).eight_bit = EightBit((-4, 4))
    for part, uint8 in (("resizer", True), ("backbone", False)):
        file = export_model(model, folder / "exported", part, uint8=uint8)
        for path in (file, file.with_name(f"{file.name}.json")):
            path.rename(path.with_name(path.name.replace(name, "learned_8bit")))


@pytest.mark.parametrize(("page", "block"), PYTHON)
def test_python(page, block, desk):
    """A script runs; the model, the hooks and the comparison of a config are built.

    A block whose first line is ``# NAME.py`` is that file for the rest of the page.
    """
    file = desk / "block.py"
    trained = re.search(
        r'^name = "(.*?)".*?pretrained=f"work_dirs/\{name\}/(.*?)"', block, re.M | re.S
    )
    if trained:
        save_checkpoint(trained[1], desk / "work_dirs" / trained[1] / trained[2])
    block = re.sub(r", f\"work_dirs/[^\"]*\"", ", None", block)
    for other in list_blocks(page, "python"):
        if named := re.match(r"# (\w+\.py)\n", other):
            (desk / named[1]).write_text(other)
    file.write_text(block)
    if "exported/learned_8bit" in block:
        export_parts(desk)
    for text, package in NEEDS.items():
        if text in block:
            pytest.importorskip(package)
    if re.search(r"^(import|from) ", block, re.M):
        exec(compile(block, file, "exec"), {})
        return
    if "my-resnet" in block:
        save_hugging_face_model(desk / "my-resnet")
    cfg = Config.fromfile(file)
    if "arms" in cfg:
        assert load_spec(str(file)).arms
        return
    assert "model" in cfg or "custom_hooks" in cfg
    init_default_scope(cfg.get("default_scope", "mmpretrain"))
    if "model" in cfg:
        assert get_resizer(MODELS.build(cfg.model))
    for hook in cfg.get("custom_hooks", []):
        HOOKS.build(hook)


def save_checkpoint(name, path):
    """Writes what a training leaves behind, with the first weights."""
    model = get_model(name, pretrained=False)
    classes = [str(i) for i in range(model.head.num_classes)]
    path.parent.mkdir(parents=True)
    meta = {"dataset_meta": {"classes": classes}}
    torch.save({"state_dict": model.state_dict(), "meta": meta}, path)


def save_hugging_face_model(folder):
    import transformers

    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], num_labels=5
    )
    transformers.ResNetForImageClassification(config).save_pretrained(folder)


def list_commands(page):
    """Yields (tool, its arguments) of each call of a tool on a page."""
    text = page.read_text()
    lines = "\n".join(list_blocks(page, "bash")).replace("\\\n", " ").splitlines()
    lines += re.findall(r"`((?:python )?tools/[^`]+)`", text)
    for line in lines:
        for command in re.split(r"&&|;|\$\(|\)(?= |$)", line):
            words = shlex.split(command.replace('"', ""), comments=True)
            for i, word in enumerate(words):
                if re.fullmatch(r"tools/.*\.(py|sh)", word):
                    yield word, words[i + 1 :]
                    break


@cache
def show_help(tool):
    """The help of a tool."""
    arguments, sys.argv = sys.argv, [tool, "--help"]
    output = io.StringIO()
    try:
        with contextlib.redirect_stdout(output), pytest.raises(SystemExit) as e:
            runpy.run_path(str(ROOT / tool), run_name="__main__")
    finally:
        sys.argv = arguments
    assert e.value.code == 0
    return output.getvalue()


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_commands(page):
    """The tools, configs and specs in commands are there, and the tools' options."""
    for tool, arguments in list_commands(page):
        assert (ROOT / tool).is_file(), tool
        help_text = (ROOT / tool).read_text()
        if tool.endswith(".py"):
            help_text = show_help(tool)
        elif tool != "tools/setup_env.sh":  # hands its options on
            help_text = None
        for argument in arguments:
            if argument.startswith("--") and help_text is not None:
                option = argument.partition("=")[0]
                assert re.search(rf"{option}(?![\w-])", help_text), (tool, option)
            elif re.match(r"(configs|comparisons)/[^A-Z]*$", argument):
                pattern = re.sub(r"\{.*?\}", "*", argument)
                assert list(ROOT.glob(pattern)), argument


def list_anchors(page):
    """Anchors of a page's headings, as GitHub and the documentation name them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", t.lower()).replace(" ", "-") for t in titles}


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links(page):
    """Links between the files of the repository lead somewhere."""
    text = re.sub(r"^```.*?^```|`[^`\n]*`", "", page.read_text(), flags=re.M | re.S)
    for link in re.findall(r"\]\((?!\w+:)([^)\s]+)", text):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in list_anchors(target), link
