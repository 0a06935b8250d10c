"""No way to a checkpoint runs code of it, and those that are fine load."""

import errno
import hashlib
import os
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from mmengine import fileio
from mmengine.config import Config
from mmengine.hooks import checkpoint_hook
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader, Runner, save_checkpoint
from mmpretrain import get_model
from safetensors.torch import save_file
from torch._tensor import _rebuild_from_type_v2

from mmresizer.config.building import build_runner
from mmresizer.hub import checkpoints
from mmresizer.models.utils import load_checkpoint
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


def reduce_to(function, *arguments):
    class Reduced:
        def __reduce__(self):
            return function, arguments

    return Reduced()


def escape(path):
    """Code by way of the attributes of a class that checkpoints may hold.

    ``getattr`` of that class leads to ``__globals__``, and a helper of torch's own list
    calls whatever it is given.
    """

    def attribute(name):
        return reduce_to(getattr, HistoryBuffer, name)

    def call(function, of_type, *arguments):
        return reduce_to(_rebuild_from_type_v2, function, of_type, arguments, None)

    type_ = attribute("__class__")
    dict_, builtin = (
        call(type_, type_, {}),
        call(type_, type_, attribute("__subclasses__")),
    )
    get = attribute("__getattribute__")
    scope = call(get, dict_, attribute("__init__"), "__globals__")
    builtins = call(call(get, builtin, scope, "get"), dict_, "__builtins__")
    run_it = call(call(get, builtin, builtins, "get"), builtin, "exec")
    return call(run_it, builtin, f"open({str(path)!r}, 'w')")


def test_attributes_of_safe_classes_are_no_way_out(tmp_path):
    path, ran = tmp_path / "trap.pth", tmp_path / "ran"
    torch.save({"state_dict": {"w": torch.zeros(1)}, "x": escape(ran)}, path)
    with pytest.raises(InputError, match="loading it could run"):
        CheckpointLoader.load_checkpoint(str(path))
    assert not ran.exists()


def test_a_checkpoint_changes_no_class(tmp_path):
    """The state of a buffer may name methods for all of its class."""
    buffer = HistoryBuffer([1.0], [1])
    torch.save({"w": torch.zeros(1), "buffer": buffer}, tmp_path / "fine.pth")
    before = dict(HistoryBuffer._statistics_methods)
    state = {**buffer.__getstate__()}
    state["statistics_methods"] = {"mean": HistoryBuffer.max}

    class Odd:
        def __reduce__(self):
            return HistoryBuffer, (), state

    torch.save({"w": torch.zeros(1), "buffer": Odd()}, tmp_path / "odd.pth")
    for name in ("fine.pth", "odd.pth"):
        loaded = CheckpointLoader.load_checkpoint(str(tmp_path / name))
        assert isinstance(loaded["buffer"], HistoryBuffer)
        assert HistoryBuffer._statistics_methods == before


def test_the_first_buffer_of_a_process_is_loaded(tmp_path, monkeypatch):
    """As in the processes of a resumed job that log nothing new."""
    file = tmp_path / "x.pth"
    torch.save({"w": torch.zeros(1), "buffer": HistoryBuffer([1.0, 3.0], [1, 1])}, file)
    monkeypatch.setattr(HistoryBuffer, "_statistics_methods", {})
    loaded = CheckpointLoader.load_checkpoint(str(file))
    assert loaded["buffer"].statistics("mean") == 2


@pytest.mark.parametrize("code", [*"?bhilBHILefdF", "U3", "S3"])
def test_values_of_numpy(code, tmp_path):
    """What a run may note in its message hub, scalars and arrays."""
    value = np.array([1, 0]).astype(code)
    torch.save({"w": torch.zeros(1), "a": value, "s": value[0]}, tmp_path / "x.pth")
    loaded = CheckpointLoader.load_checkpoint(str(tmp_path / "x.pth"))
    np.testing.assert_array_equal(loaded["a"], value)
    assert loaded["s"] == value[0]
    assert loaded["a"].dtype == value.dtype


def test_checkpoints_are_written_whole_or_not_at_all(tmp_path, monkeypatch):
    """Also where mmengine saves them, and the disk is full halfway."""
    file = tmp_path / "run" / "epoch_1.pth"
    save_checkpoint({"state_dict": {"w": torch.zeros(3)}}, str(file))
    (file.parent / f".{file.name}.123").touch()  # of a process that was killed
    save_checkpoint({"state_dict": {"w": torch.zeros(3)}}, str(file))
    before = file.read_bytes()

    def fill_up(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fill_up)
    with pytest.raises(InputError, match=r"the disk of '.*run/epoch_1.pth' is full"):
        save_checkpoint({"state_dict": {"w": torch.ones(3)}}, str(file))
    assert [*file.parent.iterdir()] == [file]
    assert file.read_bytes() == before
    fileio.put(b"a picture", str(tmp_path / "a.png"))  # does not wait for the disk


def test_an_older_checkpoint_stays_until_the_newer_one_is_read_back(
    tmp_path, monkeypatch
):
    old, new = tmp_path / "epoch_1.pth", tmp_path / "epoch_2.pth"
    weights = {"state_dict": {"w": torch.zeros(3)}}
    save_checkpoint(weights, str(old))
    checkpoint_hook.get_file_backend(str(tmp_path)).remove(str(old))
    assert old.exists()
    monkeypatch.setattr(checkpoints, "file_digest", lambda path: "of other bytes")
    with pytest.raises(InputError, match=r"epoch_2\.pth differs from"):
        save_checkpoint(weights, str(new))
    assert old.exists()
    monkeypatch.undo()
    save_checkpoint(weights, str(new))
    assert [*tmp_path.iterdir()] == [new]


def test_many_threads(tmp_path):
    torch.save(
        {"w": torch.zeros(1), "h": HistoryBuffer([1.0], [1])}, tmp_path / "x.pth"
    )
    with ThreadPoolExecutor(4) as pool:
        jobs = [
            pool.submit(CheckpointLoader.load_checkpoint, str(tmp_path / "x.pth"))
            for _ in range(60)
        ]
        assert all("h" in job.result() for job in jobs)


def write_script(path):
    torch.jit.script(torch.nn.Linear(1, 1)).save(path)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: path.write_text("<html>"), "Unsupported operand 60"),
        (lambda path: path.write_bytes(b""), "EOFError: is it empty"),
        (write_script, "a TorchScript archive is a program"),
        (
            lambda path: torch.save({"f": torch.nn.Linear(1, 1)}, path),
            "could run torch",
        ),
    ],
)
def test_says_why(write, message, tmp_path):
    """And gives none of torch's advice to load it in the unsafe way."""
    write(tmp_path / "x.pth")
    with pytest.raises(InputError, match=message) as e:
        CheckpointLoader.load_checkpoint(str(tmp_path / "x.pth"))
    assert "weights_only" not in str(e.value)


def test_a_folder_and_an_unknown_name(tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        load_checkpoint(str(tmp_path))
    with pytest.raises(
        InputError, match="cannot load the checkpoint 'torchvision://x'"
    ):
        load_checkpoint("torchvision://x")


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

    cfg.model.init_cfg = None
    cfg.model.resizer.init_cfg = dict(
        type="Pretrained", checkpoint=f"mmresizer://{NAME}", prefix="resizer"
    )
    model = MODELS.build(cfg.model)
    model.init_weights()
    for name, value in model.resizer.state_dict().items():
        assert torch.equal(value, published[f"resizer.{name}"])


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
    (server.folder / weights_file).rename(server.folder / "w-0123456f.pth")
    with pytest.raises(InputError, match="is not the published file"):
        CheckpointLoader.load_checkpoint(f"{server.url}/w-0123456f.pth")
    assert not [path for path in cache.iterdir() if path.suffix != ".lock"]


def test_files_of_one_name_are_not_taken_for_each_other(server):
    for folder in ("a", "b"):
        (server.folder / folder).mkdir()
        weights = {"state_dict": {"w": torch.full((1,), ord(folder))}}
        torch.save(weights, server.folder / folder / "epoch_100.pth")
    for folder in ("a", "b"):
        url = f"{server.url}/{folder}/epoch_100.pth"
        weights = CheckpointLoader.load_checkpoint(url)["state_dict"]
        assert weights["w"].item() == ord(folder)


def test_a_date_in_the_name_is_no_digest(server, weights_file):
    (server.folder / weights_file).rename(server.folder / "w-20260131.pth")
    CheckpointLoader.load_checkpoint(f"{server.url}/w-20260131.pth")


def test_a_damaged_file_in_the_cache_is_replaced(server, weights_file, cache):
    cache.mkdir(parents=True)
    (cache / weights_file).write_bytes(b"0")
    CheckpointLoader.load_checkpoint(f"{server.url}/{weights_file}")
    assert len(server.requests) == 1


def test_the_cache_is_kept_whatever_else_fails(server, cache):
    """Another device, or a file that somebody else has put there."""
    torch.save({"state_dict": {"w": torch.ones(2)}}, server.folder / "w.pth")
    url = f"{server.url}/w.pth"
    CheckpointLoader.load_checkpoint(url)
    with pytest.raises(Exception, match="abacus"):
        CheckpointLoader.load_checkpoint(url, map_location="abacus")
    (path,) = (p for p in cache.iterdir() if p.suffix == ".pth")
    path.write_text("not ours to delete")
    with pytest.raises(InputError):
        CheckpointLoader.load_checkpoint(url)
    assert path.exists()


def test_an_error_page_becomes_no_checkpoint(server, cache):
    (server.folder / "w.pth").write_text("<html>404 Not Found</html>")
    with pytest.raises(InputError, match="is no complete checkpoint"):
        CheckpointLoader.load_checkpoint(f"{server.url}/w.pth")
    assert not [path for path in cache.iterdir() if path.suffix != ".lock"]
    torch.save({"state_dict": {"w": torch.ones(2)}}, server.folder / "w.pth")
    CheckpointLoader.load_checkpoint(f"{server.url}/w.pth")  # mended


def test_a_bit_that_flipped(save_weights, demo_config):
    """A zip file has checksums, at which torch does not look."""
    model = Config.fromfile(demo_config()).model.to_dict()
    for part in ("backbone", "neck", "head"):
        model[part]["type"] = "mmpretrain." + model[part]["type"]
    _, path = save_weights(model)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    torch.load(path)  # without a word
    with pytest.raises(InputError, match=r"no complete checkpoint .*checksum of '.*'"):
        load_checkpoint(str(path))
