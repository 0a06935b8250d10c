import hashlib
import multiprocessing
import shutil
import sys
from dataclasses import replace

import pytest
import torch
from mmengine.config import Config

from conftest import ROOT
from mmresizer.__main__ import main
from mmresizer.config.building import build_model
from mmresizer.hub import download_models, find_model, list_models, model_index
from mmresizer.models.utils import check_trained_weights
from mmresizer.utils import InputError, exit_on_input_error

NAME = "resizerx4_resnet18-cifar-w16_1xb32_fine-textures_24px"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("MMRESIZER_ZOO_URL", raising=False)
    return tmp_path / "torch" / "hub" / "checkpoints"


@pytest.fixture
def zoo(server, tmp_path, monkeypatch):
    """The weights are on a server, and not beside the package."""
    shutil.copytree(ROOT / "checkpoints", server.folder / "checkpoints")
    monkeypatch.setenv("MMRESIZER_ZOO_URL", f"{server.url}/")
    monkeypatch.setattr(model_index, "_ROOT", tmp_path)
    return server


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_lists_the_configs_of_the_repository():
    names = {path.stem for path in (ROOT / "configs").glob("[!_]*/*.py")}
    assert {model.name for model in list_models()} == names
    assert all(model.config.is_file() for model in list_models())
    assert [m.name for m in list_models("resizer*xb32_fine-textures*")] == [NAME]


def test_weights_beside_the_package_need_no_network(monkeypatch):
    monkeypatch.setenv("MMRESIZER_OFFLINE", "1")
    path = find_model(NAME).weights.fetch()
    assert path.resolve().parent == ROOT / "checkpoints"


def test_weights_from_the_server(zoo, cache):
    weights = find_model(NAME).weights
    path = weights.fetch()
    assert path.parent == cache
    assert digest(path) == weights.sha256
    assert weights.fetch() == path
    assert zoo.requests == [f"/{weights.location}"]


def test_a_damaged_file_in_the_cache_is_replaced(zoo, cache):
    weights = find_model(NAME).weights
    cache.mkdir(parents=True)
    (cache / weights.name).write_bytes(b"0" * weights.size)
    assert digest(weights.fetch()) == weights.sha256


def test_another_file_on_the_server(zoo, cache):
    weights = find_model(NAME).weights
    (zoo.folder / weights.location).write_bytes(b"0" * weights.size)
    with pytest.raises(InputError, match="is not the published file"):
        weights.fetch()
    assert not [path for path in cache.iterdir() if path.suffix != ".lock"]


def test_without_an_address(zoo, monkeypatch):
    monkeypatch.delenv("MMRESIZER_ZOO_URL")
    with pytest.raises(InputError, match="set MMRESIZER_ZOO_URL"):
        find_model(NAME).weights.fetch()


@pytest.mark.parametrize("address", ["/data/mirror", "file:///data", "ftp://x"])
def test_address_of_another_kind(zoo, address, monkeypatch):
    monkeypatch.setenv("MMRESIZER_ZOO_URL", address)
    with pytest.raises(InputError, match=r"must begin with http:// or https://, got"):
        find_model(NAME).weights.fetch()


def test_mirror_of_published_addresses(zoo):
    weights = replace(find_model(NAME).weights, location=f"https://x/y/{WEIGHTS.name}")
    assert digest(weights.fetch()) == weights.sha256
    assert zoo.requests == [f"/checkpoints/{WEIGHTS.name}"]


def test_names_in_upper_case():
    assert find_model(NAME.upper()) == find_model(NAME)


def test_a_damaged_index_is_a_warning_at_import(run, tmp_path):
    for package in ("mmresizer", "mmresizer_client"):
        shutil.copytree(
            ROOT / package,
            tmp_path / package,
            ignore=shutil.ignore_patterns(".mim", "node_modules"),
        )
    code = "import mmresizer; print(mmresizer.__file__)"
    status, output = run(
        sys.executable, "-c", code, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}
    )
    assert status == 0, output
    assert str(tmp_path) in output
    assert "cannot read the model index below" in output


def test_offline(zoo, monkeypatch):
    monkeypatch.setenv("MMRESIZER_OFFLINE", "1")
    with pytest.raises(InputError, match="MMRESIZER_OFFLINE is set"):
        find_model(NAME).weights.fetch()
    assert not zoo.requests


def fetch(_):
    model_index._ROOT = ROOT / "nowhere"
    path = WEIGHTS.fetch()
    return len(torch.load(path, weights_only=True)["state_dict"])


WEIGHTS = find_model(NAME).weights


def test_eight_processes_share_a_transfer(zoo):
    with multiprocessing.get_context("fork").Pool(8) as pool:
        counts = pool.map(fetch, range(8), chunksize=1)
    assert len(counts) == 8
    assert len(set(counts)) == 1
    assert len(zoo.requests) == 1


def test_download(zoo, tmp_path):
    paths = download_models([NAME], str(tmp_path / "new" / "dest"))
    weights, resizer, config = paths
    model = find_model(NAME)
    assert (digest(weights), digest(resizer)) == (
        model.weights.sha256,
        model.resizer.sha256,
    )
    text = config.read_text()
    assert "_base_" not in text
    check_trained_weights(build_model(Config.fromfile(config)), str(weights))
    asked = len(zoo.requests)
    assert download_models([NAME], str(tmp_path / "new" / "dest")) == paths
    assert len(zoo.requests) == asked


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([NAME, "resnet"], "the zoo has no model 'resnet'"),
        ([NAME, "resizerx2_resnet50_8xb32_in1k_224px"], "has no published weights"),
    ],
)
def test_download_refuses_before_it_writes(names, message, tmp_path):
    with pytest.raises(InputError, match=message):
        download_models(names, str(tmp_path / "dest"))
    assert not (tmp_path / "dest").exists()


def test_download_to_a_file(tmp_path):
    (tmp_path / "dest").touch()
    with pytest.raises(InputError, match=r"the folder '.*dest' is a file"):
        download_models([NAME], str(tmp_path / "dest"))


def test_download_over_a_folder(tmp_path):
    """What cannot be written is told in a sentence."""
    (tmp_path / f"{NAME}.py").mkdir()
    with pytest.raises(InputError, match=r"cannot write to '.*\.py' \(Is a directory"):
        download_models([NAME], str(tmp_path))


def test_names_as_where_a_checkpoint_is_asked_for():
    assert find_model(f"mmresizer://{NAME}") == find_model(NAME)


@pytest.fixture
def zoo_command(monkeypatch, capsys):
    """Runs the command in this process; returns (status, output)."""

    def zoo_command(*arguments):
        monkeypatch.setattr(sys, "argv", ["mmresizer", "zoo", *map(str, arguments)])
        status = 0
        try:
            with exit_on_input_error():
                main()
        except SystemExit as e:
            status = e.code
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    return zoo_command


def test_command_line(run, zoo_command, tmp_path):
    command = [sys.executable, "-m", "mmresizer", "zoo", "list", "*fine-textures*"]
    status, output = run(*command)
    assert status == 0
    lines = [line for line in output.splitlines() if "fine-textures" in line]
    assert len(lines) == 4
    (learned,) = (line for line in lines if line.startswith(f"{NAME} "))
    assert learned.split() == [NAME, "100.0", "2.9", "MB", "FineTextures"]
    status, output = zoo_command("show", NAME)
    assert status == 0
    assert find_model(NAME).weights.sha256 in output
    status, output = zoo_command("download", NAME, "--dest", tmp_path / "dest")
    assert status == 0
    assert output.splitlines()[-1] == str(tmp_path / "dest" / f"{NAME}.py")
    assert len(list((tmp_path / "dest").iterdir())) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["list", "nothing*"], "error: the zoo has no model whose name matches"),
        (["list", "--weights", "*in1k*"], "error: the zoo has no model with weights"),
        (["show", "nothing"], "error: the zoo has no model 'nothing'"),
        (["download", "nothing"], "error: the zoo has no model 'nothing'"),
    ],
)
def test_command_line_refuses(zoo_command, arguments, message):
    status, output = zoo_command(*arguments)
    assert status == 1
    assert output.splitlines()[-1].startswith(message)
