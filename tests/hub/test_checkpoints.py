"""No way to a checkpoint runs code of it, and those that are fine load."""

import hashlib
import pickle

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import CheckpointLoader, Runner
from mmpretrain import get_model
from safetensors.torch import save_file

from mmresizer.apis.checks import build_runner, load_checkpoint
from mmresizer.registry import MODELS
from mmresizer.utils import InputError

NAME = "resizerx4_resnet18-cifar-w16_1xb32_fine-textures_24px"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "torch" / "hub" / "checkpoints"


@pytest.fixture
def trap(tmp_path):
    """A checkpoint that, loaded the unsafe way, makes a file; and that file."""
    ran = tmp_path / "ran"

    class Trap:
        def __reduce__(self):
            return open, (str(ran), "w")

    path = tmp_path / "trap.pth"
    weights = {"conv.weight": torch.zeros(1)}
    torch.save({"state_dict": weights, "meta": {}, "trap": Trap()}, path)
    pickle.loads(pickle.dumps(Trap())).close()
    assert ran.exists()  # it would work
    ran.unlink()
    return path, ran


def load_from(cfg, path):
    cfg.load_from = path
    run(cfg)


def resume(cfg, path):
    cfg.load_from, cfg.resume = path, True
    run(cfg)


def run(cfg):
    cfg.launcher = "none"
    Runner.from_cfg(cfg).train()


def init_cfg(cfg, path):
    cfg.model.backbone.init_cfg = dict(type="Pretrained", checkpoint=path)
    MODELS.build(cfg.model).init_weights()


def init_cfg_of_the_resizer(cfg, path):
    cfg.model.resizer.init_cfg = dict(type="Pretrained", checkpoint=path)
    MODELS.build(cfg.model).init_weights()


WAYS = [
    load_from,
    resume,
    init_cfg,
    init_cfg_of_the_resizer,
    lambda cfg, path: get_model(cfg, pretrained=path),
    lambda cfg, path: get_model(NAME, pretrained=path),
    lambda cfg, path: CheckpointLoader.load_checkpoint(path),
    lambda cfg, path: load_checkpoint(path),
]


@pytest.mark.parametrize("remote", [False, True], ids=["file", "http"])
@pytest.mark.parametrize("way", WAYS)
def test_runs_no_code(way, remote, trap, demo_config, server, tmp_path):
    path, ran = trap
    if remote:
        path.rename(server.folder / "trap.pth")
    cfg = Config.fromfile(demo_config())
    cfg.work_dir = str(tmp_path / "run")
    with pytest.raises(InputError, match=r"loading it could run \S*open"):
        way(cfg, f"{server.url}/trap.pth" if remote else str(path))
    assert not ran.exists()


@pytest.mark.parametrize("tool", ["train", "test", "resume"])
def test_tools_run_no_code(tool, trap, demo_config, run_tool, tmp_path):
    path, ran = trap
    arguments = {
        "train": ["train.py", demo_config(), "--cfg-options", f"load_from={path}"],
        "resume": ["train.py", demo_config(), "--resume", path],
        "test": ["test.py", demo_config(), path],
    }[tool]
    status, output = run_tool(*arguments, "--work-dir", tmp_path / "run")
    assert status == 1
    last = output.splitlines()[-1]
    assert "is no complete checkpoint of weights (loading it could run" in last
    assert not ran.exists()


def test_other_schemes_run_no_code(trap, server, monkeypatch):
    """torchvision:// and its like look their address up and load it as any other."""
    path, ran = trap
    path.rename(server.folder / "trap.pth")
    monkeypatch.setattr(
        "mmengine.runner.checkpoint.get_torchvision_models",
        lambda: {"net": f"{server.url}/trap.pth"},
    )
    with pytest.raises(InputError, match="loading it could run"):
        CheckpointLoader.load_checkpoint("torchvision://net")
    assert not ran.exists()


def test_safetensors(demo_config, tmp_path, save_weights):
    cfg = Config.fromfile(demo_config())
    model, _ = save_weights(cfg.model)
    path = tmp_path / "weights.safetensors"
    save_file({name: v.contiguous() for name, v in model.state_dict().items()}, path)
    other = get_model(cfg, pretrained=str(path))
    for name, value in other.state_dict().items():
        assert torch.equal(value, model.state_dict()[name])
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match="is no complete checkpoint of weights"):
        load_checkpoint(str(path))


def test_no_such_file():
    with pytest.raises(InputError, match=r"the checkpoint 'none\.pth' does not exist"):
        CheckpointLoader.load_checkpoint("none.pth")


def test_zoo_scheme(demo_config, tmp_path):
    """In ``load_from`` and in ``init_cfg``, whose model differs in the head."""
    cfg = Config.fromfile(demo_config())
    cfg.work_dir = str(tmp_path / "run")
    cfg.launcher = "none"
    cfg.load_from = f"mmresizer://{NAME}"
    runner = build_runner(cfg)
    runner.load_or_resume()
    published = get_model(NAME, pretrained=True).state_dict()
    for name, value in runner.model.state_dict().items():
        assert torch.equal(value, published[name])

    cfg.model.head.num_classes = 5
    cfg.model.init_cfg = dict(type="Pretrained", checkpoint=f"mmresizer://{NAME}")
    model = MODELS.build(cfg.model)
    model.init_weights()
    weight = "resizer.stem.conv1.weight"
    assert torch.equal(model.state_dict()[weight], published[weight])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resizerx4_resnet18", "the zoo has no model 'resizerx4_resnet18'.*similar: "),
        ("resizerx2_resnet50_8xb32_in1k_224px", "has no published weights"),
    ],
)
def test_zoo_scheme_refuses(name, message):
    with pytest.raises(InputError, match=message):
        CheckpointLoader.load_checkpoint(f"mmresizer://{name}")


@pytest.fixture
def weights_file(server):
    """A checkpoint on the server, with the digest in its name as torch has it."""
    torch.save({"state_dict": {"w": torch.ones(2)}}, server.folder / "w.pth")
    content = (server.folder / "w.pth").read_bytes()
    name = f"w-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    (server.folder / name).write_bytes(content)
    return name


def test_http_is_loaded_once(server, weights_file, cache, monkeypatch):
    url = f"{server.url}/{weights_file}?a=b"
    for offline in ("0", "1"):
        monkeypatch.setenv("MMRESIZER_OFFLINE", offline)
        weights = CheckpointLoader.load_checkpoint(url)["state_dict"]
        assert torch.equal(weights["w"], torch.ones(2))
    assert len(server.requests) == 1
    assert (cache / weights_file).is_file()


def test_http_offline(server, weights_file, monkeypatch):
    monkeypatch.setenv("MMRESIZER_OFFLINE", "1")
    with pytest.raises(InputError, match="MMRESIZER_OFFLINE is set"):
        CheckpointLoader.load_checkpoint(f"{server.url}/{weights_file}")
    assert not server.requests


def test_http_with_another_digest_than_its_name_says(server, weights_file, cache):
    (server.folder / weights_file).rename(server.folder / "w-01234567.pth")
    with pytest.raises(InputError, match="is not the published file"):
        CheckpointLoader.load_checkpoint(f"{server.url}/w-01234567.pth")
    assert not [path for path in cache.iterdir() if path.suffix != ".lock"]


def test_an_error_page_becomes_no_checkpoint(server, cache):
    (server.folder / "w.pth").write_text("<html>404 Not Found</html>")
    with pytest.raises(InputError, match="is no complete checkpoint"):
        CheckpointLoader.load_checkpoint(f"{server.url}/w.pth")
    assert not [path for path in cache.iterdir() if path.suffix != ".lock"]
    torch.save({"state_dict": {"w": torch.ones(2)}}, server.folder / "w.pth")
    CheckpointLoader.load_checkpoint(f"{server.url}/w.pth")  # mended
