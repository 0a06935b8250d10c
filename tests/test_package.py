"""What holds for the package as a whole: registries, configs of users, the wheel."""

import os
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import mmpretrain.registry
import pytest

import mmresizer.registry

ROOT = Path(__file__).parents[1]
CONFIG = "resizerx4_resnet18_1xb32_flowers12_56px"
DEMO = "resizerx4_resnet18-cifar-w16_1xb32_fine-textures_24px"


def test_registries_mirror_mmpretrain():
    for name in mmpretrain.registry.__all__:
        registry = getattr(mmresizer.registry, name)
        assert registry.scope == "mmresizer"
        assert registry.parent is getattr(mmpretrain.registry, name)


@pytest.mark.parametrize(
    "scope",
    [
        "mmengine",
        "mmpretrain",
        "mmresizer",
        "mmseg",
        pytest.param("mmdet", marks=pytest.mark.detection),
    ],
)
def test_prefix_resolves_in_every_scope(scope):
    """In a fresh process, from the registries of the scope, as the Runner does it."""
    code = f"""
import mmresizer
from mmengine.registry import DATASETS, HOOKS, MODELS, TRANSFORMS, DefaultScope
DefaultScope.get_instance("test", scope_name="{scope}")
for root, name in (
    (MODELS, "LearnedResizer"),
    (MODELS, "ResizerClassifier"),
    (DATASETS, "FineTextures"),
    (TRANSFORMS, "LoadImageFromFile"),
    (HOOKS, "ResizerVisualizationHook"),
):
    with root.switch_scope_and_registry(None) as registry:
        assert registry.scope == "{scope}", registry.scope
        assert registry.get("mmresizer." + name).__name__ == name
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_mmresizer_as_default_scope():
    """Every registry that the Runner uses is there, and falls back on MMPretrain's."""
    code = """
import mmresizer
from mmengine.registry import HOOKS, MODELS, VISBACKENDS, DefaultScope
DefaultScope.get_instance("test", scope_name="mmresizer")
MODELS.build(dict(type="LearnedResizer", output_size=8))
MODELS.build(dict(type="ResNet", depth=18))
VISBACKENDS.build(dict(type="LocalVisBackend", save_dir="."))
with HOOKS.switch_scope_and_registry(None) as hooks:
    assert hooks.get("VisualizationHook").__name__ == "VisualizationHook"
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Failed to search registry" not in done.stdout + done.stderr


USER_CONFIG = f"""
_base_ = ["mmresizer::flowers/{CONFIG}.py"]
model = dict(resizer=dict(output_size=(40, 48), zero_init=True))
"""
USER_SCRIPT = """
import mmresizer
import torch
from mmengine import Config
from mmpretrain import get_model

cfg = Config.fromfile("my_config.py")
assert cfg.model.resizer.type == "mmresizer.LearnedResizer"
assert cfg.train_dataloader.dataset.data_root == "data/flowers12"
model = get_model(cfg)
resized = model.resizer(torch.rand(1, 3, 224, 224))
assert resized.shape == (1, 3, 40, 48), resized.shape
assert model(torch.rand(2, 3, 224, 224)).shape == (2, 12)
print("built in", mmresizer.__file__)
"""


def make_user_project(folder):
    (folder / "my_config.py").write_text(USER_CONFIG)
    (folder / "my_script.py").write_text(USER_SCRIPT)


def test_from_the_folder_above_a_checkout(run, tmp_path):
    """There, a folder called mmresizer must not pass for the package."""
    (tmp_path / "mmresizer").mkdir()
    code = "import mmresizer; print(mmresizer.__version__)"
    status, output = run(
        sys.executable, "-c", code, cwd=tmp_path, env={"PYTHONPATH": ""}
    )
    assert status == 0, output


def test_user_project(run, tmp_path):
    """A project elsewhere inherits our config and overrides the output size."""
    make_user_project(tmp_path)
    status, output = run(sys.executable, "my_script.py", cwd=tmp_path)
    assert status == 0, output
    # MMPretrain's own tools import mmresizer too late for such a `_base_`; ours do not.
    status, output = run(
        sys.executable, ROOT / "tools" / "train.py", "my_config.py", cwd=tmp_path
    )
    assert status == 1
    assert "error: the folder 'data/flowers12' of train_dataloader does not" in output


def test_config_of_the_readme(run, tmp_path):
    """The README's example builds and hands the backbone 224 of its 448 pixels."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    (config,) = (block for block in blocks if '["mmpretrain::' in block)
    (tmp_path / "my_config.py").write_text(config)
    (tmp_path / "my_script.py").write_text(
        "import torch\n"
        "from mmengine import Config\n"
        "from mmpretrain import get_model\n"
        "model = get_model(Config.fromfile('my_config.py')).eval()\n"
        "shapes = []\n"
        "hook = lambda m, args: shapes.append(args[0].shape)\n"
        "model.backbone.register_forward_pre_hook(hook)\n"
        "assert model(torch.rand(1, 3, 448, 448)).shape == (1, 1000)\n"
        "assert shapes == [(1, 3, 224, 224)], shapes\n"
    )
    status, output = run(sys.executable, "my_script.py", cwd=tmp_path)
    assert status == 0, output


@pytest.mark.detection
def test_config_of_the_readme_for_a_detector(run, tmp_path):
    """The detector sees half of 256 x 320 pixels."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    (config,) = (block for block in blocks if '["mmdet::' in block)
    (tmp_path / "my_config.py").write_text(config)
    (tmp_path / "my_script.py").write_text(
        "import mmresizer\n"
        "import torch\n"
        "from mmdet.apis import init_detector\n"
        "from mmdet.models import FasterRCNN\n"
        "model = init_detector('my_config.py', device='cpu')\n"
        "assert isinstance(model, FasterRCNN)\n"
        "shapes = []\n"
        "hook = lambda m, args: shapes.append(args[0].shape)\n"
        "model.backbone.register_forward_pre_hook(hook)\n"
        "model.neck.register_forward_hook(lambda *_: exit(0))\n"
        "try:\n"
        "    model(torch.rand(1, 3, 256, 320))\n"
        "finally:\n"
        "    assert shapes == [(1, 3, 128, 160)], shapes\n"
    )
    status, output = run(sys.executable, "my_script.py", cwd=tmp_path)
    assert status == 0, output


def test_config_of_the_guide_for_a_segmentor(run, tmp_path):
    """The segmentor sees half of 256 x 320 pixels."""
    guide = (ROOT / "docs" / "guides" / "segmentation.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", guide, re.S)
    (config,) = (block for block in blocks if '["mmseg::' in block)
    (tmp_path / "my_config.py").write_text(config)
    (tmp_path / "my_script.py").write_text(
        "import mmresizer\n"
        "import torch\n"
        "from mmseg.apis import init_model\n"
        "from mmseg.models import EncoderDecoder\n"
        "model = init_model('my_config.py', device='cpu')\n"
        "assert isinstance(model, EncoderDecoder)\n"
        "shapes = []\n"
        "hook = lambda m, args: shapes.append(args[0].shape)\n"
        "model.backbone.register_forward_pre_hook(hook)\n"
        "assert model(torch.rand(1, 3, 256, 320)).shape == (1, 19, 16, 20)\n"
        "assert shapes == [(1, 3, 128, 160)], shapes\n"
    )
    status, output = run(sys.executable, "my_script.py", cwd=tmp_path)
    assert status == 0, output


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    # setuptools would pack what an earlier build has left there.
    shutil.rmtree(ROOT / "build", ignore_errors=True)
    subprocess.run(
        [
            sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps",
            "--no-build-isolation", "--wheel-dir", folder, ROOT,
        ],
        check=True,
    )  # fmt: skip
    return next(folder.glob("*.whl"))


def list_tracked(*paths):
    listed = subprocess.run(
        ["git", "ls-files", *paths],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(listed.stdout.split())


def test_wheel_holds_all_files(wheel):
    """The package and, below .mim/, configs, tools, weights and the index."""
    files = {n for n in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in n}
    package = {n for n in list_tracked("mmresizer") if "/.mim/" not in n}
    package |= list_tracked("mmresizer_client/*.py")
    mim = list_tracked("configs", "tools", "checkpoints", "model-index.yml")
    assert files == package | {f"mmresizer/.mim/{name}" for name in mim}


@pytest.mark.slow
def test_wheel_works_without_the_repository(wheel, run, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    make_user_project(tmp_path)
    env = {"PYTHONPATH": str(tmp_path / "site")}
    status, output = run(sys.executable, "my_script.py", cwd=tmp_path, env=env)
    assert status == 0, output
    assert str(tmp_path / "site" / "mmresizer") in output


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """An environment with the wheel, on top of the packages of this one."""
    folder = tmp_path_factory.mktemp("installed") / "env"
    venv.create(folder, with_pip=False)
    site = next(folder.glob("lib/python*/site-packages"))
    ours = [path for path in sys.path if path.endswith("site-packages")]
    lines = [f"import site; site.addsitedir({path!r})" for path in ours]
    # Without the paths of this checkout, which is installed in editable mode.
    lines.append(
        f"import sys; sys.path[:] = [p for p in sys.path if p != {str(ROOT)!r}]"
    )
    (site / "packages.pth").write_text("\n".join(lines))
    install(folder, wheel)
    return folder


def install(folder, *packages):
    pip = [sys.executable, "-m", "pip", "--python", folder / "bin" / "python"]
    done = subprocess.run(
        [*pip, "install", "--quiet", "--no-deps", *packages],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode == 0, done.stderr


ZOO_SCRIPT = """
import cv2
import mmresizer
import mmpretrain
from mmresizer.registry import DATASETS

name = "{name}"
assert "site-packages" in mmresizer.__file__, mmresizer.__file__
assert name in mmpretrain.list_models("*resizer*")
model = mmpretrain.get_model(name, pretrained=True)
dataset = DATASETS.build(model._config.val_dataloader.dataset)
sample = dataset[3]
cv2.imwrite("image.png", sample["inputs"].permute(1, 2, 0).numpy())
result = mmpretrain.inference_model(name, "image.png", pretrained=True)
expected = dataset.metainfo["classes"][sample["data_samples"].gt_label]
assert result["pred_class"] == expected, (result, expected)
print("inferred")
"""


@pytest.mark.slow
def test_zoo_from_the_wheel(installed, run, tmp_path):
    """List, download, model and inference, with nothing of the repository."""
    python = installed / "bin" / "python"
    env = {"PYTHONPATH": "", "MMRESIZER_OFFLINE": "1"}
    zoo = [python, "-m", "mmresizer", "zoo"]
    status, output = run(*zoo, "list", "--weights", cwd=tmp_path, env=env)
    assert status == 0, output
    assert DEMO in output
    status, output = run(*zoo, "download", DEMO, "--dest", "d", cwd=tmp_path, env=env)
    assert status == 0, output
    assert len(list((tmp_path / "d").iterdir())) == 3
    (tmp_path / "script.py").write_text(ZOO_SCRIPT.format(name=DEMO))
    status, output = run(python, "script.py", cwd=tmp_path, env=env)
    assert status == 0, output
    assert output.endswith("inferred\n")
    make_user_project(tmp_path)
    status, output = run(python, "my_script.py", cwd=tmp_path, env=env)
    assert status == 0, output


@pytest.mark.network
@pytest.mark.slow
def test_mim(installed, server, run, tmp_path):
    """openmim trains, tests, runs tools and downloads weights that have an address."""
    done, why = install(
        installed, "openmim==0.3.9", "colorama", "tabulate", "opendatalab==0.0.10"
    )
    if not done:
        pytest.skip(f"needs openmim from the package index ({why.strip()[-200:]})")
    env = {
        "PYTHONPATH": "",
        "PATH": f"{installed / 'bin'}{os.pathsep}{os.environ['PATH']}",
    }

    def mim(*arguments):
        status, output = run("mim", *arguments, cwd=tmp_path, env=env)
        assert status == 0, output
        return output

    small = ["train_cfg.max_epochs=1", "train_dataloader.dataset.num_samples=64"]
    mim(
        "train", "mmresizer", f"{DEMO}.py", "--gpus", "0", "--work-dir", "wd",
        "--cfg-options", *small,
    )  # fmt: skip
    weights = tmp_path / "wd" / "epoch_1.pth"
    output = mim(
        "test", "mmresizer", f"{DEMO}.py", "--checkpoint", weights, "--gpus", "0"
    )
    assert "accuracy/top1" in output

    package = next(installed.glob("lib/python*/site-packages/mmresizer"))
    shutil.copytree(package / ".mim" / "checkpoints", server.folder / "checkpoints")
    metafile = package / ".mim" / "configs" / "fine_textures" / "metafile.yml"
    text = metafile.read_text()
    assert "Weights: checkpoints/" in text
    metafile.write_text(text.replace("Weights: ", f"Weights: {server.url}/"))
    mim("download", "mmresizer", "--config", DEMO, "--dest", "d")
    (downloaded,) = (tmp_path / "d").glob("*.pth")
    published = package / ".mim" / "checkpoints" / downloaded.name
    assert downloaded.read_bytes() == published.read_bytes()
    output = mim("run", "mmresizer", "get_flops", f"d/{DEMO}.py", "-y")
    assert "GMAC" in output


def test_extras(wheel):
    """The wheel offers them, and depends on no distribution of OpenMMLab by itself."""
    archive = zipfile.ZipFile(wheel)
    name = next(n for n in archive.namelist() if n.endswith("METADATA"))
    metadata = archive.read(name).decode()
    extras = set(re.findall("Provides-Extra: (.*)", metadata))
    assert extras == {
        "onedl", "openmmlab", "detection", "onnx", "openvino", "optional",
        "segmentation", "serve", "tests",
    }  # fmt: skip
    core = re.findall("Requires-Dist: ([^;\n]*)$", metadata, re.M)
    assert "torch>=2.6" in core
    assert not any(re.match("(onedl-)?mm", requirement) for requirement in core)
