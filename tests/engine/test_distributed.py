import os
import socket
import sys

import psutil
import pytest
import torch
from mmengine.config import Config

from mmresizer.engine import (
    check_job,
    check_num_processes,
    check_same_code,
    is_hidden_endpoint,
    losing_processes,
    setup_distributed,
)
from mmresizer.engine.distributed import set_gloo_interface
from mmresizer.utils import InputError


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,3")


def test_more_processes_than_gpus(two_gpus, monkeypatch):
    check_num_processes(2)
    message = "3 processes need 3 GPUs, but 2 are visible .CUDA_VISIBLE_DEVICES: 0,3."
    with pytest.raises(InputError, match=message):
        check_num_processes("3")
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    with pytest.raises(InputError, match=message):
        setup_distributed(Config(dict(launcher="pytorch")))


def test_cuda_is_left_to_mmengine(two_gpus, monkeypatch):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    cfg = Config(dict(launcher="pytorch"))
    setup_distributed(cfg)
    assert cfg.to_dict() == dict(launcher="pytorch")
    assert not torch.distributed.is_initialized()


@pytest.mark.parametrize("number", ["0", "-1", "two", "1.5"])
def test_refuses_numbers(number):
    with pytest.raises(InputError, match=f"a positive int, but got '{number}'"):
        check_num_processes(number)


@pytest.mark.skipif(torch.cuda.is_available(), reason="about machines without CUDA")
def test_any_number_on_cpus():
    check_num_processes(64)
    cfg = Config(dict(launcher="none"))
    setup_distributed(cfg)
    assert "model_wrapper_cfg" not in cfg


def test_slurm_gives_each_step_a_port_and_counts_gpus(two_gpus, monkeypatch):
    cfg = Config(dict(launcher="slurm"))
    with pytest.raises(InputError, match="SLURM_STEP_NODELIST is not set"):
        setup_distributed(cfg)
    monkeypatch.setenv("MASTER_PORT", "1")  # to be put back
    ports = set()
    for job, step in ((7, 0), (7, 1), (8, 0)):
        for name, value in (
            ("STEP_NODELIST", "n[1-2]"),
            ("JOB_ID", job),
            ("STEP_ID", step),
            ("LOCALID", 1),
        ):
            monkeypatch.setenv(f"SLURM_{name}", str(value))
        monkeypatch.delenv("MASTER_PORT")
        setup_distributed(cfg)
        ports.add(int(os.environ["MASTER_PORT"]))
    assert len(ports) == 3
    assert all(20000 <= port < 30000 for port in ports)
    monkeypatch.setenv("SLURM_LOCALID", "2")
    with pytest.raises(InputError, match="3 processes need 3 GPUs, but 2 are visible"):
        setup_distributed(cfg)


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        (dict(NNODES="0"), "NNODES must be a positive int or.* but is '0'"),
        (dict(NNODES="1:2"), "with RDZV_ENDPOINT, MIN:MAX, but is '1:2'"),
        (dict(NNODES="3:2", RDZV_ENDPOINT="localhost:1"), "but is '3:2'"),
        (dict(NNODES="2:", RDZV_ENDPOINT="localhost:1"), "but is '2:'"),
        (dict(MAX_RESTARTS="abc"), "MAX_RESTARTS must be an int of 0 or.* is 'abc'"),
        (dict(RDZV_ENDPOINT="nonsense"), "must be HOST:PORT, but is 'nonsense'"),
        (dict(NNODES="2", NODE_RANK="2"), "an int from 0 to 1, for NNODES=2,.* '2'"),
        (dict(PORT="65536"), "PORT must be an int from 1 to 65535, but is '65536'"),
        (dict(NNODES="2", MASTER_ADDR="a.invalid"), "MASTER_ADDR: no address of"),
    ],
)
def test_refuses_jobs(environ, sentence):
    with pytest.raises(InputError, match=sentence):
        check_job(environ)


def test_takes_jobs():
    check_job({})
    check_job(dict(NNODES="1:4", RDZV_ENDPOINT="127.0.0.1:29400", MAX_RESTARTS="3"))
    with socket.socket() as s:
        s.bind(("", 0))
        s.listen()
        port = str(s.getsockname()[1])
        # Of the first node alone it has to be free.
        check_job(dict(NNODES="2", NODE_RANK="1", PORT=port))
        with pytest.raises(InputError, match=f"PORT={port} cannot be used on this"):
            check_job(dict(NNODES="2", PORT=port))
    check_job(dict(NNODES="2", PORT=port))


def test_other_code_on_a_node(monkeypatch):
    def gather(mine):
        return [mine, ("node1", {**mine[1], "torch": "2.10.0"})]

    check_same_code()
    monkeypatch.setattr("mmresizer.engine.distributed.get_world_size", lambda: 2)
    monkeypatch.setattr("mmresizer.engine.distributed.all_gather_object", gather)
    sentence = "different code: torch .* on .*, and 2.10.0 on node1; install the same"
    with pytest.raises(InputError, match=sentence):
        check_same_code()


@pytest.fixture
def outside():
    """An interface of this machine beside loopback, and its address."""
    found = [
        (name, address.address)
        for name, addresses in psutil.net_if_addrs().items()
        for address in addresses
        if address.family == socket.AF_INET and name != "lo"
    ]
    if not found:
        pytest.skip("this machine has no other interface than loopback")
    return found[0]


def test_an_endpoint_that_torchrun_does_not_find(outside, monkeypatch):
    """The name of the host does not lead to its address."""
    _, address = outside
    monkeypatch.setattr(socket, "gethostbyname", lambda name: "127.0.1.1")
    with socket.create_server((address, 0)) as server:
        port = server.getsockname()[1]
        assert not is_hidden_endpoint(f"{address}:{port}")  # in use
    assert is_hidden_endpoint(f"{address}:{port}")
    assert not is_hidden_endpoint(f"127.0.0.1:{port}")
    assert not is_hidden_endpoint(f"198.51.100.1:{port}")
    assert not is_hidden_endpoint(f"some-host:{port}")
    monkeypatch.setattr(socket, "gethostbyname", lambda name: address)
    assert not is_hidden_endpoint(f"{address}:{port}")


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for addresses")
def test_gloo_takes_the_interface_that_reaches_the_others(outside, monkeypatch):
    # Connected to an own address, a socket has that address.
    name, address = outside
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "")  # to be put back
    monkeypatch.delenv("GLOO_SOCKET_IFNAME")
    monkeypatch.setenv("MASTER_ADDR", address)
    monkeypatch.setenv("GROUP_WORLD_SIZE", "2")
    monkeypatch.setattr(socket, "gethostbyname", lambda name: address)
    set_gloo_interface()  # gloo finds it
    monkeypatch.setattr(socket, "gethostbyname", lambda name: "127.0.1.1")
    monkeypatch.setenv("GROUP_WORLD_SIZE", "1")
    set_gloo_interface()
    assert "GLOO_SOCKET_IFNAME" not in os.environ
    monkeypatch.setenv("GROUP_WORLD_SIZE", "2")
    set_gloo_interface()
    assert os.environ["GLOO_SOCKET_IFNAME"] == name
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "the user's")
    set_gloo_interface()
    assert os.environ["GLOO_SOCKET_IFNAME"] == "the user's"


def test_other_faults_pass_as_they_are():
    with pytest.raises(RuntimeError, match="mat1 and mat2"), losing_processes():
        torch.ones(1, 2) @ torch.ones(1, 2)
    with (
        pytest.raises(InputError, match=r"lost another .*\(Connection closed by peer"),
        losing_processes(),
    ):
        raise RuntimeError("[/x/third_party/gloo/y.cc:5] Connection closed by peer")
