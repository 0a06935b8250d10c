import os

import pytest
import torch
from mmengine.config import Config

from mmresizer.engine import check_num_processes, setup_distributed
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
